"""A model that is asked for views: passes of any size, equal views once, and what does not fit."""

import numpy as np
import pytest
import simplejpeg
import torch

from pipeline.clips import dataset
from pipeline.clips.dataset import MultiViewDataset
from pipeline.clips.views import ViewConfig
from pipeline.core.errors import UserError
from pipeline.inference import predictor
from pipeline.layers.normalize import normalize
from pipeline.runtime.checkpoint import Checkpoint
from tests.support.inference import VIEWS, load_predictor, scores_of


@pytest.mark.parametrize("most", [1, 5, 1000])
def test_the_size_of_a_pass_changes_rounding_only(models, most):
    store = models[1][1]
    expected = scores_of(load_predictor(models), store, "val0").astype(np.float32)
    found = scores_of(load_predictor(models, views_per_pass=most), store, "val0").astype(np.float32)
    np.testing.assert_allclose(found, expected, atol=2e-3)  # a unit of the stored float16 at 2..4


def jpeg(height: int, width: int, seed: int) -> bytes:
    """A picture of noise."""
    return simplejpeg.encode_jpeg(np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8))


JPEGS = {
    "long.mp4": [jpeg(40, 52, seed) for seed in range(9)],
    "short.mp4": [jpeg(48, 36, seed) for seed in range(9, 12)],  # of 5 clips many are the same
}


@pytest.mark.parametrize(
    ("config", "most", "sizes"),
    [
        (VIEWS, 100, [26]),
        (VIEWS, 10, [10, 10, 6]),
        (ViewConfig(clips=5, sides=(34,), crop=None), 8, [2, 8, 8, 8]),  # centre views have 32 pixels, and others 34
    ],
)
def test_videos_that_share_passes_get_the_logits_that_each_gets_alone(models, packed, config, most, sizes):
    store, batches = packed(JPEGS), []
    chosen = load_predictor(models, config, views_per_pass=most)
    decoded = [dataset.decode_video(store, video, [chosen.view_spec]) for video in JPEGS]
    videos = [(video.frames, video.crops[0]) for video in decoded]
    alone = np.concatenate([exact(chosen.score([video])) for video in videos])
    chosen.network.register_forward_hook(lambda module, inputs, output: batches.append(len(output)))
    found = chosen.score(videos)
    assert batches == sizes
    np.testing.assert_allclose(exact(found), alone, rtol=1e-5, atol=1e-5)
    assert found.read().dtype == np.float16
    assert np.abs(alone[0] - alone[1]).max() > 0.1, "a mistaken video would be seen"


def exact(scores: predictor.Scores) -> np.ndarray:
    """The logits (V, K, C) before they are rounded to float16."""
    return scores.logits.read().numpy()[np.array(scores.places)]


def test_no_pass_is_larger_than_asked_for(models, monkeypatch):
    chosen = load_predictor(models, views_per_pass=5)
    sizes = []
    chosen.network.register_forward_hook(lambda module, inputs, output: sizes.append(len(output)))
    scores_of(chosen, models[1][1], "val0")
    assert sizes == [5, 5, 3]


def test_without_a_setting_a_pass_is_bounded_by_its_pixels(models, monkeypatch):
    monkeypatch.setattr(predictor, "PIXELS", 2 * 32 * 32 * 4)  # frames x side x side x 4 views
    chosen = load_predictor(models)
    sizes = []
    chosen.network.register_forward_hook(lambda module, inputs, output: sizes.append(len(output)))
    scores_of(chosen, models[1][1], "val0")
    assert sizes == [4, 4, 4, 1]


def test_views_that_show_the_same_are_computed_once_and_stored_every_time(models):
    """A video of 6 frames has 3 pairs; of 5 clips of 2 segments some are the same, and at 40 x 32 no crop is."""
    store = models[1][1]
    config = ViewConfig(clips=5, sides=(32,), crop=None)
    chosen = load_predictor(models, config)
    batches = []
    chosen.network.register_forward_hook(lambda module, inputs, output: batches.append(len(output)))
    found = scores_of(chosen, store, "val0")

    pixels = MultiViewDataset(["val0"], store, chosen.view_spec.sampler, chosen.grid)[0][32]
    distinct = {view.numpy().tobytes() for view in pixels}
    assert sum(batches) == len(distinct) == 3 * 3
    assert found.shape == (16, 3)
    with torch.inference_mode():
        every = chosen.network(normalize(pixels, chosen.checkpoint.input)).numpy()
    np.testing.assert_allclose(found.astype(np.float32), every, atol=2e-3)
    for one in distinct:
        same = [k for k, view in enumerate(pixels) if view.numpy().tobytes() == one]
        assert (found[same] == found[same[0]]).all()


def test_mixed_precision_is_used_where_the_machine_says_so(models):
    store = models[1][1]
    full = scores_of(load_predictor(models), store, "val0").astype(np.float32)
    mixed = scores_of(load_predictor(models, precision="bf16"), store, "val0").astype(np.float32)
    assert (mixed != full).any()
    np.testing.assert_allclose(mixed, full, atol=0.1)


def test_a_pass_that_does_not_fit_names_the_setting(models, monkeypatch):
    chosen = load_predictor(models, views_per_pass=5)

    def full(module, inputs):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    chosen.network.register_forward_pre_hook(full)
    with pytest.raises(UserError, match=r"Model net: a pass of 5 views .*machine.views_per_pass.*allocate 2 GiB"):
        scores_of(chosen, models[1][1], "val0")


def test_a_checkpoint_that_does_not_fit_its_architecture_is_refused(models, tmp_path):
    checkpoint = Checkpoint.read(models[0] / "net")
    weights = dict(checkpoint.weights)
    del weights["backbone.bn1.weight"]
    Checkpoint(weights, checkpoint.recipe, checkpoint.classes, checkpoint.input).write(tmp_path / "net")
    with pytest.raises(
        UserError, match=r"(?s)does not fit pipeline/models/tsn.py.*Missing key.*dvc repro --force train@net"
    ):
        load_predictor((tmp_path, None))
