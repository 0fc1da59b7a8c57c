"""3D blocks and pathway, against torchvision's 2D ResNet run frame by frame."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import conv1d, conv2d
from torchvision.models import resnet as torchvision_resnet

from pipeline.layers.resnet3d import (
    BASIC_DEPTHS,
    BLOCKS,
    BasicBlock,
    Bottleneck,
    Pathway,
    blocks_of_depth,
    conv3d,
    factored_conv3d,
    he_init,
    spatial_pool,
)
from tests.support.golden import golden_io

FRAME_WISE = ((1, 1),) * 4
"""Kernels of blocks that never look along time."""
PEERS = {Bottleneck: torchvision_resnet.Bottleneck, BasicBlock: torchvision_resnet.BasicBlock}


def small_pathway(blocks: tuple[int, ...] = (1, 1, 1, 1), **options: Any) -> Pathway:
    """Four channels wide, looking at single frames unless told otherwise."""
    return Pathway(4, blocks, **({"stem_t": 1, "kernels_t": FRAME_WISE, "pool": spatial_pool()} | options))


def fill_both(flat: nn.Module, deep: nn.Module) -> None:
    """The same fixed weights for a 2D network and, with kernels of one frame, for its 3D counterpart."""
    weights = golden_io.fill(flat.eval()).state_dict()
    shapes = {key: value.shape for key, value in deep.eval().state_dict().items()}
    deep.load_state_dict({key: value.reshape(shapes[key]) for key, value in weights.items()})


def frame_by_frame(flat: Callable[[Tensor], Tensor], clip: Tensor) -> Tensor:
    """A 2D network on (N, C, T, H, W)."""
    return torch.stack([flat(frame) for frame in clip.unbind(2)], dim=2)


def frames_that_change(block: nn.Module, frames: int, touched: int) -> list[int]:
    """Which frames of the output notice that one frame of a block's input is different."""
    clip = golden_io.make_input((1, 4, frames, 8, 8))
    other = clip.clone()
    other[:, :, touched] += 1
    with torch.inference_mode():
        difference = block.eval()(clip) - block(other)
    return difference.abs().amax(dim=(0, 1, 3, 4)).gt(1e-6).nonzero().flatten().tolist()


@pytest.mark.parametrize("block", PEERS)
@pytest.mark.parametrize("stride", [1, 2])
def test_a_block_with_kernels_of_one_frame_is_torchvisions(block: type, stride: int):
    channels = 4 * block.expansion
    shortcut = nn.Sequential(nn.Conv2d(channels, channels, 1, stride, bias=False), nn.BatchNorm2d(channels))
    flat = PEERS[block](channels, 4, stride, shortcut if stride == 2 else None)
    deep = block(channels, 4, kernels_t=(1, 1), stride=(1, stride, stride))
    fill_both(flat, deep)
    clip = golden_io.make_input((2, channels, 3, 8, 8))

    with torch.inference_mode():
        torch.testing.assert_close(deep(clip), frame_by_frame(flat, clip))


@pytest.mark.parametrize("block", PEERS)
@pytest.mark.parametrize(
    ("kernels_t", "noticing"),
    [((1, 1), [4]), ((3, 1), [3, 4, 5]), ((1, 3), [3, 4, 5]), ((5, 1), [2, 3, 4, 5, 6]), ((3, 3), [2, 3, 4, 5, 6])],
)
def test_the_first_two_convolutions_look_along_time(block: type, kernels_t: tuple[int, int], noticing: list[int]):
    assert frames_that_change(block(4, 4, kernels_t=kernels_t), frames=9, touched=4) == noticing


@pytest.mark.parametrize("name", BLOCKS)
def test_a_pathway_with_kernels_of_one_frame_is_torchvisions_resnet(name: str):
    flat = torchvision_resnet.ResNet(PEERS[BLOCKS[name]], [1, 2, 1, 1])
    flat.fc = nn.Identity()
    deep = Pathway(64, (1, 2, 1, 1), stem_t=1, kernels_t=FRAME_WISE, pool=spatial_pool(), block=name)
    fill_both(flat, deep)
    clip = golden_io.make_input((1, 3, 2, 64, 64))

    with torch.inference_mode():
        features = deep(clip).mean(dim=(3, 4))
        torch.testing.assert_close(features, frame_by_frame(flat, clip), rtol=1e-4, atol=1e-4)


def test_a_pathway_keeps_time_and_says_how_wide_it_is():
    pathway = small_pathway(stem_t=5, kernels_t=((3, 1),) * 4)
    x = pathway.stem(torch.zeros(1, 3, 6, 64, 64))
    shapes = [tuple(x.shape[1:])]
    for stage in pathway.stages:
        x = stage(x)
        shapes.append(tuple(x.shape[1:]))

    assert shapes == [(4, 6, 16, 16), (16, 6, 16, 16), (32, 6, 8, 8), (64, 6, 4, 4), (128, 6, 2, 2)]
    assert pathway.channels == [4, 16, 32, 64, 128]


def test_kernels_are_placed_stage_by_stage():
    pathway = small_pathway((2, 1, 1, 1), stem_t=5, kernels_t=((1, 3), (3, 1), (1, 1), (7, 5)))

    blocks = [block for stage in pathway.stages for block in stage]
    assert pathway.conv1.kernel_size[0] == 5
    assert [block.conv1.kernel_size[0] for block in blocks] == [1, 1, 3, 1, 7]
    assert [block.conv2.kernel_size[0] for block in blocks] == [3, 3, 1, 1, 5]


@pytest.mark.parametrize("name", BLOCKS)
def test_a_stride_in_time_is_taken_once_a_stage(name: str):
    pathway = small_pathway((2, 2, 1, 1), kernels_t=((3, 3),) * 4, strides_t=(1, 2, 1, 2), block=name)
    x = pathway.stem(torch.zeros(1, 3, 7, 64, 64))

    frames = [x.shape[2]]
    for stage in pathway.stages:
        x = stage(x)
        frames.append(x.shape[2])
    assert frames == [7, 7, 4, 4, 2]


def test_the_pooling_behind_the_stem_can_be_left_out():
    pathway = small_pathway(pool=nn.Identity())

    assert pathway(torch.zeros(1, 3, 1, 32, 32)).shape[3:] == (2, 2)


def test_a_factored_convolution_is_one_in_space_and_one_in_time():
    clip = golden_io.make_input((1, 2, 5, 6, 6))
    network = golden_io.fill(factored_conv3d(2, 3, (3, 3, 3), (2, 2, 2))).eval()
    parts = dict(network.named_children())

    assert list(parts) == ["spatial", "bn", "relu", "temporal"]
    assert parts["spatial"].weight.shape == (6, 2, 1, 3, 3)  # 3*3*3 * 2*3 / (3*3 * 2 + 3 * 3) = 6
    assert parts["temporal"].weight.shape == (3, 6, 3, 1, 1)
    flat = frame_by_frame(lambda frame: conv2d(frame, parts["spatial"].weight[:, :, 0], stride=2, padding=1), clip)
    pixels = parts["bn"](flat).relu().permute(0, 3, 4, 1, 2).flatten(0, 2)  # a series for each pixel
    expected = conv1d(pixels, parts["temporal"].weight[..., 0, 0], stride=2, padding=1)
    torch.testing.assert_close(network(clip).permute(0, 3, 4, 1, 2).flatten(0, 2), expected)


def test_a_factored_convolution_has_about_the_weights_of_a_whole_one():
    stem, whole = factored_conv3d(3, 64, (3, 7, 7), (1, 2, 2)), conv3d(3, 64, (3, 7, 7))

    assert stem.spatial.out_channels == 83  # X-Temporal's
    weights = stem.spatial.weight.numel() + stem.temporal.weight.numel()
    assert weights == pytest.approx(whole.weight.numel(), rel=0.02)


def test_there_is_nothing_to_factor_in_a_convolution_of_single_positions():
    assert type(factored_conv3d(4, 8, (1, 1, 1))) is nn.Conv3d


def test_channels_that_join_widen_the_input_of_a_stage_only():
    pathway = small_pathway(block="basic", joining=(2, 0, 8, 0))

    assert [stage[0].conv1.in_channels for stage in pathway.stages] == [4 + 2, 4, 8 + 8, 16]
    assert pathway.channels == [4, 4, 8, 16, 32]


@pytest.mark.parametrize("name", BLOCKS)
def test_zero_branches_leave_blocks_that_are_their_shortcuts(name: str):
    pathway = small_pathway(block=name)
    he_init(pathway, zero_branches=True)
    x = torch.rand(1, pathway.channels[1], 2, 4, 4)
    block = pathway.layer2[0].eval()

    assert torch.equal(block(x), block.downsample(x).relu())


def test_he_init_keeps_the_variance_of_gradients():
    conv = conv3d(16, 64, (3, 3, 3))
    he_init(conv)

    assert conv.weight.var().item() == pytest.approx(2 / (64 * 27), rel=0.05)


@pytest.mark.parametrize("block", PEERS)
def test_gradients_are_exact(block: type):
    torch.manual_seed(0)
    network = block(2, 1, kernels_t=(3, 1), stride=(1, 2, 2)).double().eval()
    clip = golden_io.make_input((1, 2, 3, 2, 2)).double().requires_grad_()

    assert torch.autograd.gradcheck(network, clip)


def test_depths_are_those_of_resnets():
    assert blocks_of_depth(101) == (3, 4, 23, 3)
    assert blocks_of_depth(34, BASIC_DEPTHS) == (3, 4, 6, 3)
    with pytest.raises(ValueError, match="depth=34 is none of 50, 101, 152, 200"):
        blocks_of_depth(34)


@pytest.mark.parametrize(
    ("options", "wrong"),
    [
        ({"blocks": (1, 1, 1)}, "four numbers"),
        ({"blocks": (1, 1, 0, 1)}, "four numbers"),
        ({"block": "wide"}, "'wide'"),
    ],
)
def test_an_impossible_pathway_is_refused(options: dict[str, object], wrong: str):
    with pytest.raises(ValueError, match=wrong):
        small_pathway(**options)
