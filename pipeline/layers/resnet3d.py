"""3D ResNets in the manner of SlowFast: never a stride in time, and few convolutions that look along it.

Feichtenhofer et al.: "SlowFast Networks for Video Recognition", ICCV 2019, arXiv:1812.03982, table 1. Layers
are named as in torchvision's 2D ResNet (conv1, bn1, layer1, downsample), so that its weights can be inflated
by name.
"""

from collections.abc import Callable, Sequence

from torch import Tensor, nn

Norm = Callable[[int], nn.Module]
"""Number of channels -> a normalisation layer."""

BLOCKS_OF_DEPTH = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3), 200: (3, 24, 36, 3)}
"""Residual blocks in each of the four stages."""


class Bottleneck(nn.Module):
    """Residual block kt x 1 x 1 -> 1 x 3 x 3 -> 1 x 1 x 1, which widens to 4 * `width` channels.

    Shape: (N, `in_channels`, T, H, W) -> (N, 4 * `width`, T, H / `stride`, W / `stride`).

    Args:
        kernel_t: kt, the length in frames of the first convolution; odd.
        stride: in space, taken by the second convolution.
    """

    expansion = 4

    def __init__(
        self, in_channels: int, width: int, *, kernel_t: int, stride: int = 1, norm: Norm = nn.BatchNorm3d
    ) -> None:
        super().__init__()
        out_channels = width * self.expansion
        self.conv1 = _conv(in_channels, width, (kernel_t, 1, 1))
        self.bn1 = norm(width)
        self.conv2 = _conv(width, width, (1, 3, 3), stride)
        self.bn2 = norm(width)
        self.conv3 = _conv(width, out_channels, (1, 1, 1))
        self.bn3 = norm(out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _shortcut(in_channels, out_channels, stride, norm)

    def forward(self, x: Tensor) -> Tensor:
        """Add the branch to the shortcut."""
        branch = self.relu(self.bn1(self.conv1(x)))
        branch = self.relu(self.bn2(self.conv2(branch)))
        branch = self.bn3(self.conv3(branch))
        return self.relu(branch + self.downsample(x))


class BasicBlock(nn.Module):
    """Residual block kt x 3 x 3 -> 1 x 3 x 3, for shallow networks.

    Shape: (N, `in_channels`, T, H, W) -> (N, `width`, T, H / `stride`, W / `stride`).

    Args:
        kernel_t: kt, the length in frames of the first convolution; odd.
        stride: in space, taken by the first convolution.
    """

    expansion = 1

    def __init__(
        self, in_channels: int, width: int, *, kernel_t: int, stride: int = 1, norm: Norm = nn.BatchNorm3d
    ) -> None:
        super().__init__()
        self.conv1 = _conv(in_channels, width, (kernel_t, 3, 3), stride)
        self.bn1 = norm(width)
        self.conv2 = _conv(width, width, (1, 3, 3))
        self.bn2 = norm(width)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _shortcut(in_channels, width, stride, norm)

    def forward(self, x: Tensor) -> Tensor:
        """Add the branch to the shortcut."""
        branch = self.relu(self.bn1(self.conv1(x)))
        branch = self.bn2(self.conv2(branch))
        return self.relu(branch + self.downsample(x))


BLOCKS: dict[str, type[Bottleneck] | type[BasicBlock]] = {"bottleneck": Bottleneck, "basic": BasicBlock}


class Pathway(nn.Module):
    """Stem and four stages: a whole network but for its head, or one of the two paths of SlowFast.

    Stage i = 0..3 is `width` * 2**i wide, times the block's expansion at its end, and all but the first
    halve the map. With the stem and its pooling, height and width shrink by 32; T never changes.

    Shape: (N, 3, T, H, W) -> (N, `channels[-1]`, T, H / 32, W / 32).

    Attributes:
        channels: of the stem and of the four stages, as they come out.

    Args:
        width: channels of the stem.
        kernels_t: five lengths in frames: of the stem's convolution, and of the first one in the blocks of
            each stage.
        blocks: four numbers, the residual blocks of each stage.
        block: "bottleneck" or "basic".
        joining: how many channels another path adds to the input of each stage.
    """

    def __init__(
        self,
        width: int,
        kernels_t: Sequence[int],
        blocks: Sequence[int],
        *,
        block: str = "bottleneck",
        joining: Sequence[int] = (0, 0, 0, 0),
        norm: Norm = nn.BatchNorm3d,
    ) -> None:
        super().__init__()
        if block not in BLOCKS:
            raise ValueError(f"block={block!r} is none of {', '.join(BLOCKS)}.")
        if len(blocks) != 4 or min(blocks) < 1:
            raise ValueError(f"blocks={blocks!r} must be four numbers, the residual blocks of each stage.")
        make = BLOCKS[block]
        self.conv1 = _conv(3, width, (kernels_t[0], 7, 7), stride=2)
        self.bn1 = norm(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool3d((1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1))

        self.channels = [width]
        for i in range(4):
            stage = nn.Sequential()
            channels = self.channels[-1] + joining[i]
            inner = width * 2**i
            for index in range(blocks[i]):
                stride = 2 if i > 0 and index == 0 else 1
                stage.append(make(channels, inner, kernel_t=kernels_t[1 + i], stride=stride, norm=norm))
                channels = inner * make.expansion
            self.add_module(f"layer{1 + i}", stage)
            self.channels.append(channels)

    @property
    def stages(self) -> list[nn.Module]:
        """The four stages, for a network that does something between them."""
        return [self.get_submodule(f"layer{1 + i}") for i in range(4)]

    def stem(self, x: Tensor) -> Tensor:
        """(N, 3, T, H, W) -> (N, `width`, T, H / 4, W / 4)."""
        return self.maxpool(self.relu(self.bn1(self.conv1(x))))

    def forward(self, x: Tensor) -> Tensor:
        """The stem and all stages, for a network of a single path."""
        x = self.stem(x)
        for stage in self.stages:
            x = stage(x)
        return x


def blocks_of_depth(depth: int) -> tuple[int, ...]:
    """Residual blocks in each stage of the ResNet with so many layers."""
    if depth not in BLOCKS_OF_DEPTH:
        known = ", ".join(map(str, BLOCKS_OF_DEPTH))
        raise ValueError(f"depth={depth} is none of {known}. For another network set `blocks`, four numbers.")
    return BLOCKS_OF_DEPTH[depth]


def _conv(in_channels: int, out_channels: int, kernel: tuple[int, int, int], stride: int = 1) -> nn.Conv3d:
    """A convolution that keeps T, and divides height and width by `stride`."""
    padding = (kernel[0] // 2, kernel[1] // 2, kernel[2] // 2)
    return nn.Conv3d(in_channels, out_channels, kernel, (1, stride, stride), padding, bias=False)


def _shortcut(in_channels: int, out_channels: int, stride: int, norm: Norm) -> nn.Module:
    """The identity where it fits the branch, else a projection."""
    if in_channels == out_channels and stride == 1:
        return nn.Identity()
    return nn.Sequential(_conv(in_channels, out_channels, (1, 1, 1), stride), norm(out_channels))
