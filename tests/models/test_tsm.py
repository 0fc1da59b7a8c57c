"""TSM against X-Temporal's and the authors', and what every model must hold to."""

import pytest
import torch

from pipeline.layers.shift import TemporalShift
from pipeline.models import tsm
from tests.golden import golden_io, keys
from tests.models import checks

TINY = {**checks.TINY_2D, "frames": 4}


@pytest.mark.parametrize("peer", ["tsm_r50_8f", "tsmrepo_tsm_r50_8f"])
def test_equals_x_temporal_and_the_authors_repository(peer: str):
    weights = keys.weights(peer, keys.X_TEMPORAL_2D)

    keys.assert_logits_match(tsm.build(313), peer, weights)


@pytest.mark.parametrize(("backbone", "parameters"), [("resnet50", 24_149_369), ("resnet101", 43_141_497)])
def test_has_as_many_parameters_as_the_peers(backbone: str, parameters: int):
    with torch.device("meta"):
        assert checks.parameter_count(tsm.build(313, backbone=backbone)) == parameters


@pytest.mark.parametrize(("every", "shifts"), [(1, 3 + 4 + 23 + 3), (2, 2 + 2 + 12 + 2)])
def test_resnet101_shifts_every_block_or_every_second_one(every: int, shifts: int):
    with torch.device("meta"):
        model = tsm.build(3, backbone="resnet101", every=every)

    assert sum(isinstance(module, TemporalShift) for module in model.modules()) == shifts


def test_the_order_of_the_frames_matters():
    model = golden_io.fill(tsm.build(3, **TINY)).eval()
    clip = checks.clips(2, frames=4)

    assert (model(clip.flip(2)) - model(clip)).abs().max() > 1e-3


def test_the_places_and_divisors_are_different_networks():
    clip = checks.clips(1, frames=4)
    variants = [{}, {"place": "block"}, {"shift_div": 4}]

    logits = [golden_io.fill(tsm.build(1, **TINY, **variant)).eval()(clip).item() for variant in variants]

    assert len(set(logits)) == 3


def test_a_clip_of_another_length_is_refused():
    with pytest.raises(ValueError, match=r"clip has 8 frames.*built for 4"):
        tsm.build(3, **TINY)(checks.clips(1, frames=8))


def test_every_parameter_learns():
    checks.assert_every_parameter_learns(tsm.build(3, **TINY), checks.clips(2, frames=4))


def test_clips_of_a_batch_do_not_mix():
    checks.assert_clips_do_not_mix(tsm.build(3, **TINY), checks.clips(3, frames=4))


@pytest.mark.parametrize("place", ["blockres", "block"])
def test_weights_survive_a_file(place: str):
    one, other = (tsm.build(3, **TINY, place=place) for _ in range(2))

    checks.assert_weights_survive_a_file(one, other, checks.clips(1, frames=4))


def test_options_reach_the_parts():
    model = tsm.build(3, **TINY, dropout=0.25, partial_bn=True, shift_div=4)

    assert model.dropout.p == 0.25
    assert model.partial_bn
    assert model.backbone.layer1[0].conv1.temporal.shift_div == 4
