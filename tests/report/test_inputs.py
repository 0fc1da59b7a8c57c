"""What the sections of the page share, read from a run whose members are of unequal strength."""

import numpy as np
import pytest

from pipeline.core import checksums
from pipeline.core.errors import UserError
from pipeline.predictions.table import PredictionTable
from pipeline.predictions.view_scores import ViewScores
from pipeline.report.inputs import Inputs
from tests.support import finished


def test_the_best_member_is_the_strongest_wherever_it_stands(tmp_path):
    assert (
        Inputs.read(finished.run(tmp_path, members=("weak", "strong", "middling"), videos=30)).best_member == "strong"
    )


@pytest.mark.parametrize(("protocol", "views"), [("clip", 1), ("dense", 3), ("multiscale", 6)])
def test_a_members_table_is_of_the_protocol_that_is_fused(tmp_path, protocol, views):
    sources = finished.run(tmp_path, protocol=protocol)
    found = Inputs.read(sources).table("tin")
    scores = ViewScores.read(sources.predictions / "tin", "test")
    used = scores.grid["protocols"][protocol]
    assert len(used) == views
    expected = (1 / (1 + np.exp(-scores.logits[:, used].astype(np.float64)))).mean(axis=1)
    np.testing.assert_allclose(found.probabilities, expected, rtol=1e-6)
    assert found.meta["protocol"] == protocol


def test_views_of_other_videos_than_the_table_are_refused(tmp_path):
    sources = finished.run(tmp_path, protocol="clip")
    scores = ViewScores.read(sources.predictions / "tin", "test")
    ViewScores(np.array(scores.logits[:-1]), scores.grid).write(sources.predictions / "tin", "test")
    checksums.seal(sources.predictions / "tin")
    with pytest.raises(UserError, match=r"test.views.npy holds \(5, 3\).*dvc repro infer@tin"):
        Inputs.read(sources).table("tin")


@pytest.mark.parametrize(
    ("labelled", "settings", "fitted"),
    [
        (True, {"weights": "fitted"}, False),
        (False, {"weights": "fitted"}, True),
        (False, {"weights": "single"}, True),
        (False, {"weights": "uniform"}, False),
        (False, {"weights": "uniform", "mean": "best"}, True),
        (False, {"weights": "given", "given": {"tsn": 1.0, "tin": 2.0}}, False),
    ],
)
def test_an_ensemble_is_fitted_to_what_it_is_judged_by_where_val_had_a_say(tmp_path, labelled, settings, fitted):
    assert Inputs.read(finished.run(tmp_path, labelled=labelled, **settings)).fitted_to_split == fitted


def test_a_table_of_before_the_settings_were_kept_has_none(tmp_path):
    sources = finished.run(tmp_path, weights="best")
    path = sources.ensemble / "test.parquet"
    table = PredictionTable.read(path)
    bare = {name: value for name, value in table.meta.items() if name != "settings"}
    PredictionTable(table.videos, table.broken, table.labels, table.classes, table.probabilities, bare).write(path)
    checksums.seal(sources.ensemble)
    inputs = Inputs.read(sources)
    assert inputs.settings == {}
    assert not inputs.selected
