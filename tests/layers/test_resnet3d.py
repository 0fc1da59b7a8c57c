"""The SlowFast family's blocks and pathway, against torchvision's 2D ResNet run frame by frame."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import resnet as torchvision_resnet

from pipeline.layers.resnet3d import BLOCKS, BasicBlock, Bottleneck, Pathway, blocks_of_depth
from tests.golden import golden_io

FRAME_WISE = (1, 1, 1, 1, 1)
"""Kernels that never look along time."""
PEERS = {Bottleneck: torchvision_resnet.Bottleneck, BasicBlock: torchvision_resnet.BasicBlock}


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
    deep = block(channels, 4, kernel_t=1, stride=stride)
    fill_both(flat, deep)
    clip = golden_io.make_input((2, channels, 3, 8, 8))

    with torch.inference_mode():
        torch.testing.assert_close(deep(clip), frame_by_frame(flat, clip))


@pytest.mark.parametrize("block", PEERS)
@pytest.mark.parametrize(("kernel_t", "noticing"), [(1, [4]), (3, [3, 4, 5]), (5, [2, 3, 4, 5, 6])])
def test_only_the_first_convolution_looks_along_time(block: type, kernel_t: int, noticing: list[int]):
    assert frames_that_change(block(4, 4, kernel_t=kernel_t), frames=9, touched=4) == noticing


@pytest.mark.parametrize("name", BLOCKS)
def test_a_pathway_with_kernels_of_one_frame_is_torchvisions_resnet(name: str):
    flat = torchvision_resnet.ResNet(PEERS[BLOCKS[name]], [1, 2, 1, 1])
    flat.fc = nn.Identity()
    deep = Pathway(64, FRAME_WISE, (1, 2, 1, 1), block=name)
    fill_both(flat, deep)
    clip = golden_io.make_input((1, 3, 2, 64, 64))

    with torch.inference_mode():
        features = deep(clip).mean(dim=(3, 4))
        torch.testing.assert_close(features, frame_by_frame(flat, clip), rtol=1e-4, atol=1e-4)


def test_a_pathway_keeps_time_and_says_how_wide_it_is():
    pathway = Pathway(4, (5, 3, 3, 3, 3), (1, 1, 1, 1))
    x = pathway.stem(torch.zeros(1, 3, 6, 64, 64))
    shapes = [tuple(x.shape[1:])]
    for stage in pathway.stages:
        x = stage(x)
        shapes.append(tuple(x.shape[1:]))

    assert shapes == [(4, 6, 16, 16), (16, 6, 16, 16), (32, 6, 8, 8), (64, 6, 4, 4), (128, 6, 2, 2)]
    assert pathway.channels == [4, 16, 32, 64, 128]


def test_kernels_are_placed_stage_by_stage():
    pathway = Pathway(4, (5, 1, 3, 1, 7), (2, 1, 1, 1))

    first_convs = [pathway.conv1, *(block.conv1 for stage in pathway.stages for block in stage)]
    assert [conv.kernel_size[0] for conv in first_convs] == [5, 1, 1, 3, 1, 7]


def test_channels_that_join_widen_the_input_of_a_stage_only():
    pathway = Pathway(4, FRAME_WISE, (1, 1, 1, 1), block="basic", joining=(2, 0, 8, 0))

    assert [stage[0].conv1.in_channels for stage in pathway.stages] == [4 + 2, 4, 8 + 8, 16]
    assert pathway.channels == [4, 4, 8, 16, 32]


@pytest.mark.parametrize("name", BLOCKS)
def test_the_norm_can_be_chosen(name: str):
    pathway = Pathway(4, FRAME_WISE, (1, 1, 1, 1), block=name, norm=lambda width: nn.GroupNorm(2, width))

    kinds = {type(module) for module in pathway.modules()}
    assert nn.GroupNorm in kinds
    assert nn.BatchNorm3d not in kinds


@pytest.mark.parametrize("block", PEERS)
def test_gradients_are_exact(block: type):
    torch.manual_seed(0)
    network = block(2, 1, kernel_t=3, stride=2).double().eval()
    clip = golden_io.make_input((1, 2, 3, 2, 2)).double().requires_grad_()

    assert torch.autograd.gradcheck(network, clip)


def test_depths_are_those_of_resnets():
    assert blocks_of_depth(101) == (3, 4, 23, 3)
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
        Pathway(4, FRAME_WISE, **({"blocks": (1, 1, 1, 1)} | options))
