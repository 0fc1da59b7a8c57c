"""3D ResNets: residual blocks whose convolutions look along time or not, and may be factored.

One set of blocks serves several families, which differ in where kernels are longer than one frame, in
strides along time and in the stem's pooling:

    Feichtenhofer et al.: "SlowFast Networks for Video Recognition", ICCV 2019, arXiv:1812.03982, table 1
    Hara et al.: "Can Spatiotemporal 3D CNNs Retrace the History of 2D CNNs and ImageNet?", CVPR 2018,
        arXiv:1711.09577 (R3D)
    Tran et al.: "A Closer Look at Spatiotemporal Convolutions for Action Recognition", CVPR 2018,
        arXiv:1711.11248 (R(2+1)D)

Layers are named as in torchvision's 2D ResNet (conv1, bn1, layer1, downsample), so that its weights can be
inflated by name.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence

from torch import Tensor, nn

Triple = tuple[int, int, int]
"""Sizes along (T, H, W)."""
Conv = Callable[[int, int, Triple, Triple], nn.Module]
"""Function such as `conv3d` that makes a convolution from input channels, output channels, kernel and stride."""

BASIC_DEPTHS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}
BOTTLENECK_DEPTHS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3), 200: (3, 24, 36, 3)}
"""Number of layers -> residual blocks in each of the four stages."""


def conv3d(in_channels: int, out_channels: int, kernel: Triple, stride: Triple = (1, 1, 1)) -> nn.Conv3d:
    """Convolution without bias whose output differs in size from its input only by `stride`."""
    padding = (kernel[0] // 2, kernel[1] // 2, kernel[2] // 2)
    return nn.Conv3d(in_channels, out_channels, kernel, stride, padding, bias=False)


def factored_conv3d(in_channels: int, out_channels: int, kernel: Triple, stride: Triple = (1, 1, 1)) -> nn.Module:
    """Convolution of R(2+1)D: in space, norm, ReLU, along time, with about as many weights as `conv3d` has.

    One of 1x1x1 has nothing to factor, and stays as it is.
    """
    if kernel == (1, 1, 1):
        return conv3d(in_channels, out_channels, kernel, stride)
    length, height, width = kernel
    area = height * width
    full = length * area * in_channels * out_channels
    middle = full // (area * in_channels + length * out_channels)
    return nn.Sequential(
        OrderedDict(
            spatial=conv3d(in_channels, middle, (1, height, width), (1, *stride[1:])),
            bn=nn.BatchNorm3d(middle),
            relu=nn.ReLU(inplace=True),
            temporal=conv3d(middle, out_channels, (length, 1, 1), (stride[0], 1, 1)),
        )
    )


class Bottleneck(nn.Module):
    """Residual block k1 x 1 x 1 -> k2 x 3 x 3 -> 1 x 1 x 1, which widens to 4 * `width` channels.

    Shape: (N, `in_channels`, T, H, W) -> (N, 4 * `width`, T, H, W), divided by `stride`.

    Args:
        kernels_t: k1 and k2, the lengths in frames of the first two convolutions; odd.
        stride: stride of the second convolution.
        conv: function that makes the three convolutions.
    """

    expansion = 4

    def __init__(
        self,
        in_channels: int,
        width: int,
        *,
        kernels_t: tuple[int, int],
        stride: Triple = (1, 1, 1),
        conv: Conv = conv3d,
    ) -> None:
        super().__init__()
        out_channels = width * self.expansion
        self.conv1 = conv(in_channels, width, (kernels_t[0], 1, 1), (1, 1, 1))
        self.bn1 = nn.BatchNorm3d(width)
        self.conv2 = conv(width, width, (kernels_t[1], 3, 3), stride)
        self.bn2 = nn.BatchNorm3d(width)
        self.conv3 = conv(width, out_channels, (1, 1, 1), (1, 1, 1))
        self.bn3 = nn.BatchNorm3d(out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _shortcut(in_channels, out_channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Add the branch to the shortcut."""
        branch = self.relu(self.bn1(self.conv1(x)))
        branch = self.relu(self.bn2(self.conv2(branch)))
        branch = self.bn3(self.conv3(branch))
        out: Tensor = self.relu(branch + self.downsample(x))
        return out


class BasicBlock(nn.Module):
    """Residual block k1 x 3 x 3 -> k2 x 3 x 3, for shallow networks.

    Shape: (N, `in_channels`, T, H, W) -> (N, `width`, T, H, W), divided by `stride`.

    Args:
        kernels_t: k1 and k2, the lengths in frames of the two convolutions; odd.
        stride: stride of the first convolution.
        conv: function that makes the two convolutions.
    """

    expansion = 1

    def __init__(
        self,
        in_channels: int,
        width: int,
        *,
        kernels_t: tuple[int, int],
        stride: Triple = (1, 1, 1),
        conv: Conv = conv3d,
    ) -> None:
        super().__init__()
        self.conv1 = conv(in_channels, width, (kernels_t[0], 3, 3), stride)
        self.bn1 = nn.BatchNorm3d(width)
        self.conv2 = conv(width, width, (kernels_t[1], 3, 3), (1, 1, 1))
        self.bn2 = nn.BatchNorm3d(width)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _shortcut(in_channels, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Add the branch to the shortcut."""
        branch = self.relu(self.bn1(self.conv1(x)))
        branch = self.bn2(self.conv2(branch))
        out: Tensor = self.relu(branch + self.downsample(x))
        return out


BLOCKS: dict[str, type[Bottleneck] | type[BasicBlock]] = {"bottleneck": Bottleneck, "basic": BasicBlock}


class Pathway(nn.Module):
    """Stem and four stages: a whole network but for its head, or one of the two paths of SlowFast.

    Stage i = 0..3 is `width` * 2**i wide, times the block's expansion at its end, and all but the first
    halve height and width, as the stem's convolution does.

    Shape: (N, 3, T, H, W) -> (N, `channels[-1]`, T', H', W'), smaller by the strides.

    Attributes:
        channels: output channels of the stem and of each of the four stages.

    Args:
        width: channels of the stem.
        blocks: four numbers, the residual blocks of each stage.
        stem_t: length in frames of the stem's convolution; odd.
        kernels_t: for each stage, the lengths of the first two convolutions of its blocks; odd.
        strides_t: for each stage, the stride along time of its first block.
        pool: pooling behind the stem; `spatial_pool()` halves height and width once more.
        conv: function that makes the convolutions of stem and branches; shortcuts stay plain.
        block: "bottleneck" or "basic".
        joining: how many channels another path adds to the input of each stage.
    """

    def __init__(
        self,
        width: int,
        blocks: Sequence[int],
        *,
        stem_t: int,
        kernels_t: Sequence[tuple[int, int]],
        strides_t: Sequence[int] = (1, 1, 1, 1),
        pool: nn.Module,
        conv: Conv = conv3d,
        block: str = "bottleneck",
        joining: Sequence[int] = (0, 0, 0, 0),
    ) -> None:
        super().__init__()
        if block not in BLOCKS:
            raise ValueError(f"block={block!r} is none of {', '.join(BLOCKS)}.")
        if width < 1:
            raise ValueError(f"width={width}: the first convolution has at least one channel.")
        if len(blocks) != 4 or min(blocks) < 1:
            raise ValueError(f"blocks={blocks!r} must be four numbers, the residual blocks of each stage.")
        make = BLOCKS[block]
        self.conv1 = conv(3, width, (stem_t, 7, 7), (1, 2, 2))
        self.bn1 = nn.BatchNorm3d(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = pool

        self.channels = [width]
        for i in range(4):
            stage = nn.Sequential()
            channels = self.channels[-1] + joining[i]
            inner = width * 2**i
            halving = 1 if i == 0 else 2
            stride: Triple = (strides_t[i], halving, halving)
            for _ in range(blocks[i]):
                stage.append(make(channels, inner, kernels_t=kernels_t[i], stride=stride, conv=conv))
                channels = inner * make.expansion
                stride = (1, 1, 1)
            self.add_module(f"layer{1 + i}", stage)
            self.channels.append(channels)

    @property
    def stages(self) -> list[nn.Module]:
        """Four stages, for a network that does something between them."""
        return [self.get_submodule(f"layer{1 + i}") for i in range(4)]

    def stem(self, x: Tensor) -> Tensor:
        """Apply the stem: (N, 3, T, H, W) -> (N, `width`, T', H', W')."""
        out: Tensor = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        return out

    def forward(self, x: Tensor) -> Tensor:
        """Apply the stem and all stages, for a network of a single path."""
        x = self.stem(x)
        for stage in self.stages:
            x = stage(x)
        return x


def spatial_pool() -> nn.MaxPool3d:
    """Max-pooling of ResNet, frame by frame: it halves height and width."""
    return nn.MaxPool3d((1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1))


def blocks_of_depth(depth: int, depths: Mapping[int, tuple[int, ...]] = BOTTLENECK_DEPTHS) -> tuple[int, ...]:
    """Residual blocks in each stage of the ResNet with `depth` layers."""
    if depth not in depths:
        known = ", ".join(map(str, depths))
        raise ValueError(f"depth={depth} is none of {known}. For another network set `blocks`, four numbers.")
    return depths[depth]


def he_init(network: nn.Module, *, zero_branches: bool = False) -> None:
    """Initialise the convolutions by He et al.'s normal distribution (arXiv:1502.01852), by their outputs.

    Args:
        zero_branches: start the last norm of every residual branch at scale zero, so that blocks begin as
            their shortcuts (Goyal et al., arXiv:1706.02677, section 5.1).
    """
    for module in network.modules():
        if isinstance(module, nn.Conv3d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif zero_branches and isinstance(module, (Bottleneck, BasicBlock)):
            nn.init.zeros_((module.bn3 if isinstance(module, Bottleneck) else module.bn2).weight)


def _shortcut(in_channels: int, out_channels: int, stride: Triple) -> nn.Module:
    """Identity where it fits the branch, else a projection."""
    if in_channels == out_channels and stride == (1, 1, 1):
        return nn.Identity()
    return nn.Sequential(conv3d(in_channels, out_channels, (1, 1, 1), stride), nn.BatchNorm3d(out_channels))
