"""TRN's parts in their places; its heads meet the authors' code in tests/layers/test_relation.py."""

import torch

from pipeline.layers.relation import MultiScaleRelation, Relation
from pipeline.models import trn
from tests.support import checks
from tests.support.golden import golden_io

TINY = {**checks.TINY_2D, "frames": 4}


def test_the_order_of_the_frames_matters():
    clip = checks.clips(2, frames=4)

    for multiscale in (False, True):
        model = golden_io.fill(trn.build(3, **TINY, multiscale=multiscale)).eval()
        assert (model(clip.flip(2)) - model(clip)).abs().max() > 1e-3


def test_frames_are_projected_and_then_related():
    model = golden_io.fill(trn.build(3, **TINY, feature_dim=7, multiscale=False)).eval()
    clips = checks.clips(2, frames=4)

    features = torch.stack([model.projection(model.backbone(frame)) for frame in clips.unbind(2)], dim=1)

    assert features.shape == (2, 4, 7)
    torch.testing.assert_close(model(clips), model.relation(features))


def test_names_are_those_that_importers_count_on():
    single, multi = (trn.build(3, **TINY, multiscale=multiscale).state_dict() for multiscale in (False, True))

    heads = [[name for name in names if not name.startswith("backbone.")] for names in (single, multi)]
    projection = ["projection.weight", "projection.bias"]
    parts = ["hidden.weight", "hidden.bias", "classifier.weight", "classifier.bias"]
    assert heads[0] == projection + [f"relation.{part}" for part in parts]
    assert heads[1] == projection + [f"relation.scales.{scale}.{part}" for scale in range(3) for part in parts]
    assert multi["relation.scales.0.hidden.weight"].shape == (256, 4 * 256)  # the largest scale comes first


def test_the_projection_starts_near_zero():
    projection = trn.build(3, **TINY).projection

    assert 0.0009 < projection.weight.std() < 0.0011
    assert not projection.bias.any()


def test_options_reach_the_parts():
    model = trn.build(3, **TINY, dropout=0.25, partial_bn=True)
    single = trn.build(3, **TINY, multiscale=False)

    assert model.dropout.p == 0.25
    assert model.partial_bn
    assert isinstance(model.relation, MultiScaleRelation)
    assert isinstance(single.relation, Relation)
    assert single.relation.hidden.out_features == 512
