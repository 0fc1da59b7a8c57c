import numpy as np
import pytest
import timm
import torch
from torch.nn import functional as F

from pipeline.core.errors import UserError
from pipeline.models import encoder
from pipeline.pretrained.load import load_pretrained
from tests.support.checks import TINY_VIT

FRAMES = 4


@pytest.mark.parametrize("backbone", ["test_vit", "test_vit3", "test_resnet"])
def test_its_features_are_timms_own_of_every_frame(backbone):
    torch.manual_seed(0)
    network = encoder.build(3, backbone=backbone, size=160, frames=2).eval()
    theirs = timm.create_model(backbone, num_classes=0).eval()
    theirs.load_state_dict(network.backbone.state_dict())
    clip = torch.rand(2, 3, 2, 160, 160)
    found = network.features(clip)
    with torch.no_grad():
        expected = torch.stack([torch.cat([theirs(clip[video, :, t][None])[0] for t in (0, 1)]) for video in (0, 1)])
    torch.testing.assert_close(found, expected)


def test_with_a_grid_each_frame_has_what_is_pooled_and_then_its_cells():
    torch.manual_seed(0)
    network = encoder.build(3, **TINY_VIT | {"rows": 1, "columns": 2}).eval()
    clip = torch.rand(1, 3, FRAMES, 32, 32)
    found = network.features(clip).view(FRAMES, 3, 64)
    for t in range(FRAMES):
        with torch.no_grad():
            pooled = network.backbone(clip[:, :, t])[0]
            tokens = network.backbone.forward_features(clip[:, :, t])[0, network.backbone.num_prefix_tokens :]
        torch.testing.assert_close(found[t, 0], pooled)
        by_place = tokens.view(2, 2, 64)
        torch.testing.assert_close(found[t, 1], by_place[:, 0].mean(dim=0))
        torch.testing.assert_close(found[t, 2], by_place[:, 1].mean(dim=0))


def test_a_linear_head_reads_the_mean_and_the_changes_of_the_same_features():
    linear = encoder.build(3, **TINY_VIT | {"head": "linear"}).eval()
    features = torch.randn(2, sum(linear.sizes))
    mean, changes = linear.parts(features).split(list(linear.sizes), dim=1)
    frames = features.view(2, FRAMES, -1).numpy()
    np.testing.assert_allclose(mean, frames.mean(axis=1), atol=1e-5)
    k, t = np.arange(1, FRAMES)[:, None], np.arange(FRAMES)
    waves = np.cos(np.pi * (t + 0.5) * k / FRAMES) * np.sqrt(2 / FRAMES) / (1 + k)
    np.testing.assert_allclose(changes, np.einsum("kt,ntd->nkd", waves, frames).reshape(2, -1), atol=1e-5)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"backbone": "test_vit", "size": 224}, "size=224.*'test_vit' expect 160 x 160"),
        ({"backbone": "test_vit", "size": 160, "frames": 1}, "frames=1"),
        ({"backbone": "test_vit", "size": 160, "rows": 2}, "rows=2 and columns=0"),
        (
            {"backbone": "test_vit", "size": 160, "width": 6, "heads": 4},
            "width, 6, must be a multiple of the number of its heads, 4",
        ),
        ({"backbone": "test_vit", "size": 160, "head": "mean"}, "head='mean' is none of auto, attentive, linear"),
    ],
)
def test_options_that_cannot_be_are_refused(options, said):
    with pytest.raises(ValueError, match=said):
        encoder.build(3, **options)


def test_a_file_of_timm_without_a_classifier_is_recognised_and_loads(tmp_path):
    torch.manual_seed(1)
    theirs = timm.create_model("test_vit", num_classes=0)
    torch.save(theirs.state_dict(), tmp_path / "vit.pth")
    network = encoder.build(3, backbone="test_vit", size=160, frames=2)
    report = load_pretrained(network, tmp_path / "vit.pth")
    assert (report.source, report.input.mean) == ("timm", (0.5, 0.5, 0.5))
    assert all(torch.equal(value, network.backbone.state_dict()[name]) for name, value in theirs.state_dict().items())
    with pytest.raises(UserError, match="does not fit"):
        load_pretrained(encoder.build(3, backbone="test_vit3", size=160, frames=2), tmp_path / "vit.pth")


def test_the_cells_are_averages_of_the_map_of_a_convolutional_network():
    network = encoder.build(3, backbone="test_resnet", size=64, frames=2, rows=1, columns=1).eval()
    found = network.features(torch.rand(1, 3, 2, 64, 64)).view(2, 2, -1)
    torch.testing.assert_close(found[:, 1], F.normalize(found[:, 0], dim=-1) * found[:, 0].norm(dim=-1, keepdim=True))
