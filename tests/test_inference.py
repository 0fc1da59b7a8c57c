import numpy as np
import pandas as pd
import pytest
import tiny
import torch
from torch import nn

from pipeline import inference, metrics, training, views
from pipeline.checkpoint import Checkpoint
from pipeline.clips import VideoViews
from pipeline.errors import BadInput
from pipeline.predictions import ViewScores
from pipeline.statistics import ClassStatistics
from pipeline.views import ViewConfig

VIEWS = ViewConfig(clips=2, sides=(32, 36), crop=32)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    corpus = tiny.corpus(folder / "lmdb")
    training.fit(tiny.model(epochs=2), *corpus, folder / "net", tiny.machine(folder / "work"))
    return folder, corpus


def predictor(folder, workers=1, config=VIEWS):
    return inference.Predictor(folder / "net", config, tiny.machine(folder / "work", workers=workers))


def test_scores_are_those_of_the_network_on_each_view_by_itself(trained):
    folder, (manifest, store, statistics) = trained
    table, scores = predictor(folder).predict(manifest.split("val"), store, statistics)

    checkpoint = Checkpoint.read(folder / "net")
    network, spec = tiny.model().build(3)
    network.load_state_dict(checkpoint.weights)
    network.eval()
    grid = views.grid(tiny.model().clip.centre, VIEWS)
    assert scores.logits.shape == (4, 1 + 2 * 2 * 3, 3)
    by_size = VideoViews(["val0"], store, tiny.model().clip.sampler, grid)[0]
    mean, std = (torch.tensor(v).view(3, 1, 1, 1) for v in (spec.mean, spec.std))
    with torch.inference_mode():
        alone = torch.stack([network(((clip / 255 - mean) / std)[None])[0] for clip in by_size[32]])
    np.testing.assert_allclose(scores.logits[0], alone.numpy(), atol=2e-3)
    final = grid.protocols["multiscale"]
    np.testing.assert_allclose(table.probabilities[0], torch.sigmoid(alone)[list(final)].mean(0), atol=1e-3)


def test_protocol_clip_is_what_training_validated_with(trained):
    """Whatever other sides are tested; only the rounding of the stored logits may differ."""
    folder, (manifest, store, statistics) = trained
    chosen = predictor(folder, config=ViewConfig(clips=1, sides=(32, 200), crop=32))
    table, scores = chosen.predict(manifest.split("val").without(["val3"]), store, statistics)
    validated = Checkpoint.read(folder / "net").recipe["result"]["val_mAP"]
    assert metrics.sample_map(scores.probabilities("clip"), table.targets()) == pytest.approx(validated)


def test_a_broken_video_is_answered_with_the_prior_and_keeps_its_place(trained):
    folder, (manifest, store, statistics) = trained
    table, scores = predictor(folder).predict(manifest.split("test"), store, statistics)
    assert list(table.videos) == ["test0", "test1", "test2"]
    assert table.broken.tolist() == [False, False, True]
    np.testing.assert_allclose(table.probabilities[2], statistics.prior, atol=1e-3)
    assert (scores.logits[2] == scores.logits[2, :1]).all()


def test_the_number_of_workers_changes_no_bit(trained):
    folder, (manifest, store, statistics) = trained
    one, three = (
        predictor(folder, workers).predict(manifest.split("val"), store, statistics)[1].logits for workers in (0, 2)
    )
    np.testing.assert_array_equal(one, three)


def test_a_frame_is_decoded_once_for_all_views(trained, monkeypatch):
    folder, (_manifest, store, _statistics) = trained
    reads = []
    original = type(store).read
    monkeypatch.setattr(type(store), "read", lambda s, v, i: reads.append((v, list(i))) or original(s, v, i))
    dataset = VideoViews(["val0"], store, tiny.model().clip.sampler, predictor(folder).grid)
    dataset[0]
    assert len(reads) == 1
    assert len(set(reads[0][1])) == len(reads[0][1])


def test_other_classes_than_those_of_the_model_are_refused(trained):
    folder, (manifest, store, statistics) = trained
    others = ClassStatistics(("x", "y", "z"), statistics.counts, statistics.videos)
    with pytest.raises(BadInput, match="Model net was trained on other classes"):
        predictor(folder).predict(manifest.split("val"), store, others)


def test_a_checkpoint_that_does_not_fit_its_architecture_is_refused(trained, tmp_path):
    folder, _ = trained
    checkpoint = Checkpoint.read(folder / "net")
    weights = dict(checkpoint.weights)
    del weights["backbone.bn1.weight"]
    Checkpoint(weights, checkpoint.recipe, checkpoint.classes, checkpoint.input).write(tmp_path / "net")
    with pytest.raises(
        BadInput, match=r"(?s)does not fit pipeline/models/tsn.py.*Missing key.*dvc repro --force train@net"
    ):
        predictor(tmp_path)


def test_scores_that_are_not_finite_are_refused(trained, monkeypatch):
    folder, (manifest, store, statistics) = trained
    chosen = predictor(folder)

    class Broken(nn.Module):
        def forward(self, clip):
            return torch.full((len(clip), 3), float("nan"))

    chosen.model = Broken()
    with pytest.raises(BadInput, match="not finite"):
        chosen.predict(manifest.split("val"), store, statistics)


def test_the_files_say_what_they_are(trained, tmp_path):
    folder, (manifest, store, statistics) = trained
    table, scores = predictor(folder).predict(manifest.split("val"), store, statistics)
    table.write(tmp_path / "val.parquet")
    scores.write(tmp_path, "val")
    assert table.meta["model"] == "net"
    assert table.meta["protocol"] == "multiscale"
    assert len(table.meta["checkpoint"]) == 64
    assert pd.read_parquet(tmp_path / "val.parquet")["video"].tolist() == ["val0", "val1", "val2", "val3"]
    assert ViewScores.read(tmp_path, "val").grid["protocols"].keys() == {"clip", "dense", "multiscale"}
