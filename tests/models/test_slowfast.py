"""SlowFast against the four public ones."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pipeline.models import slowfast
from tests.support import checks
from tests.support.golden import golden_io

TINY = checks.TINY_SLOWFAST
PYSLOWFAST_50 = {"fusion_kernel": 7, "fusion_norm": True, "slow_frames": "linspace", "head_bias": True}


def slow_frames(frames: int, **options: Any) -> list[int]:
    """The numbers of the frames that the slow path of a network sees."""
    model = slowfast.build(3, **TINY, **options)
    seen: list[Tensor] = []
    model.slow.conv1.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    model(torch.arange(float(frames)).view(1, 1, -1, 1, 1).repeat(2, 3, 1, 32, 32))
    return seen[0][0, 0, :, 0, 0].int().tolist()


def test_slow_frames_are_every_fourth():
    assert slow_frames(32) == [0, 4, 8, 12, 16, 20, 24, 28]


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        (32, [0, 4, 8, 13, 17, 22, 26, 31]),
        (44, [0, 4, 8, 12, 17, 21, 25, 30, 34, 38, 43]),
        (4, [0]),
    ],
)
def test_slow_frames_can_reach_from_the_first_to_the_last(frames: int, expected: list[int]):
    assert slow_frames(frames, slow_frames="linspace") == expected


@pytest.mark.slow
def test_evenly_spread_slow_frames_equal_pyslowfasts_formula():
    for count in range(1, 40):
        expected = torch.linspace(0, 4 * count - 1, count).long().tolist()  # on a CPU, as it ships

        assert slow_frames(4 * count, slow_frames="linspace") == expected


def test_the_same_weights_take_clips_of_any_multiple_of_alpha():
    model = slowfast.build(3, **TINY, alpha=8)

    assert [tuple(model(checks.clips(2, frames)).shape) for frames in (8, 16, 40)] == [(2, 3)] * 3
    with pytest.raises(ValueError, match=r"30 frames.*alpha=8.*clips of 24 or 32"):
        model(checks.clips(2, frames=30))
    with pytest.raises(ValueError, match="clips of 8 or 16"):  # never of none
        model(checks.clips(2, frames=3))


def test_the_slow_paths_features_come_first_and_the_laterals_feed_them():
    model = golden_io.fill(slowfast.build(1, **TINY)).eval()
    assert (model.slow.channels[-1], model.fast.channels[-1]) == (128, 32)
    clip = checks.clips(1, frames=8)
    unlike = clip.clone()
    unlike[:, :, 1:4] = 0  # frames that only the fast path sees

    model.classifier.weight.data[:, 128:] = 0
    assert model(unlike) != model(clip)
    for lateral in model.laterals:
        lateral.conv.weight.data.zero_()
    assert model(unlike) == model(clip)


def test_laterals_end_in_a_norm_and_relu_when_asked():
    plain, normed = (slowfast.build(3, **TINY, fusion_norm=norm) for norm in (False, True))

    assert [[type(layer) for layer in lateral] for lateral in plain.laterals] == [[nn.Conv3d]] * 4
    assert [[type(layer) for layer in lateral] for lateral in normed.laterals] == [
        [nn.Conv3d, nn.BatchNorm3d, nn.ReLU]
    ] * 4


def test_dropout_is_in_front_of_the_classifier_and_off_in_eval():
    model = golden_io.fill(slowfast.build(3, **TINY, dropout=1.0))
    clip = checks.clips(2, frames=8)

    assert not model.train()(clip).any()  # of no features and no bias
    assert model.eval()(clip).all()


@pytest.mark.parametrize(
    ("options", "wrong"),
    [
        ({"depth": 18}, "depth=18"),
        ({"slow_frames": "random"}, "'random'"),
        ({"width": 20}, "width=20"),
        ({"fusion_kernel": 4}, "fusion_kernel=4"),
        ({"block": "wide"}, "'wide'"),
    ],
)
def test_an_impossible_network_is_refused(options: dict[str, Any], wrong: str):
    with pytest.raises(ValueError, match=wrong):
        slowfast.build(3, **options)
