"""SlowFast against the four public ones, and what every model must hold to."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pipeline.models import slowfast
from tests.golden import golden_io, keys
from tests.models import checks

TINY = checks.TINY_SLOWFAST
PYSLOWFAST_50 = {"fusion_kernel": 7, "fusion_norm": True, "slow_frames": "linspace", "head_bias": True}
PYSLOWFAST_101 = PYSLOWFAST_50 | {"depth": 101, "fusion_kernel": 5}


def slow_frames(frames: int, **options: Any) -> list[int]:
    """The numbers of the frames that the slow path of a network sees."""
    model = slowfast.build(3, **TINY, **options)
    seen: list[Tensor] = []
    model.slow.conv1.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    model(torch.arange(float(frames)).view(1, 1, -1, 1, 1).repeat(2, 3, 1, 32, 32))
    return seen[0][0, 0, :, 0, 0].int().tolist()


def test_equals_x_temporal():
    weights = keys.weights("xt_sfresnet50_8x8", keys.X_TEMPORAL_SLOWFAST)

    keys.assert_logits_match(slowfast.build(313), "xt_sfresnet50_8x8", weights)


def test_equals_pyslowfast():
    weights = keys.weights("psf_slowfast_8x8_r50", keys.PYSLOWFAST)

    keys.assert_logits_match(slowfast.build(313, **PYSLOWFAST_50), "psf_slowfast_8x8_r50", weights)


def test_equals_pytorchvideo():
    weights = keys.weights("ptv_slowfast_r50", keys.PYSLOWFAST, names_of="psf_slowfast_8x8_r50")

    keys.assert_logits_match(slowfast.build(313, **PYSLOWFAST_50), "ptv_slowfast_r50", weights)


def test_equals_mmaction2():
    weights = keys.weights("mma_slowfast_r50_8x8", keys.MMACTION_SLOWFAST)
    fast, slow = weights["classifier.weight"].split([256, 2048], dim=1)
    weights["classifier.weight"] = torch.cat([slow, fast], dim=1)  # here the slow features come first

    model = slowfast.build(313, fusion_kernel=7, head_bias=True)
    keys.assert_logits_match(model, "mma_slowfast_r50_8x8", weights)


@pytest.mark.parametrize(
    ("options", "parameters"),
    [
        ({"depth": 50}, 34_278_440),
        ({"depth": 101}, 62_625_192),
        ({"depth": 152}, 85_448_744),
        ({"depth": 200}, 90_035_240),
        (PYSLOWFAST_50, 34_365_953),
        (PYSLOWFAST_101, 62_626_433),
    ],
)
def test_has_as_many_parameters_as_the_peers(options: dict[str, Any], parameters: int):
    with torch.device("meta"):
        assert checks.parameter_count(slowfast.build(313, **options)) == parameters


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


@pytest.mark.parametrize("options", [{}, {"fusion_norm": True, "head_bias": True}, {"block": "bottleneck"}])
def test_every_parameter_learns(options: dict[str, Any]):
    checks.assert_every_parameter_learns(slowfast.build(3, **TINY | options), checks.clips(2, frames=8))


def test_clips_of_a_batch_do_not_mix():
    checks.assert_clips_do_not_mix(slowfast.build(3, **TINY), checks.clips(3, frames=8))


def test_weights_survive_a_file():
    one, other = (slowfast.build(3, **TINY) for _ in range(2))

    checks.assert_weights_survive_a_file(one, other, checks.clips(1, frames=8))


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
