"""The page of a run with a member that cannot see some videos: it is told, and has no say on them."""

from types import SimpleNamespace

import numpy as np
import pytest

from pipeline import metrics
from pipeline.predictions.table import PredictionTable
from pipeline.report import gallery
from pipeline.report.inputs import Inputs
from tests.support import finished
from tests.support.html_page import check, page

PROTOCOLS = ("clip", "dense", "multiscale")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Of twelve videos a split, the last is broken, and the member "ear" cannot see four others."""
    folder = tmp_path_factory.mktemp("unseen")
    sources = finished.run(folder, members=("eye", "ear", "other"), videos=12, blind="ear")
    return sources, check(page(sources, folder / "report"))


def test_it_counts_them_and_shows_the_figures_of_those_that_are_seen(run):
    sources, read = run
    assert "ear cannot see 4 val and 4 test videos" in read.text
    rows = {row[0].replace(" ,", ","): row[1:] for row in read.tables["models"][0]}  # a name may break anywhere
    assert set(rows) >= {"eye", "ear", "ear, where it sees", "other"}
    for place, split in ((2, "val"), (5, "test")):  # of multiscale, whose scores the table holds
        table = PredictionTable.read(sources.predictions / "ear" / f"{split}.parquet")
        heard = ~table.unseen
        assert heard.sum() == 8
        of_all = metrics.sample_map(table.probabilities, table.targets())
        of_seen = metrics.sample_map(table.probabilities[heard], table.targets()[heard])
        assert rows["ear"][place].split()[0] == f"{of_all:.2f}"
        assert rows["ear, where it sees"][place].split()[0] == f"{of_seen:.2f}"
        assert abs(of_all - of_seen) > 0.1


def test_the_head_counts_those_that_no_model_can_see(run, tmp_path):
    _, several = run
    alone = check(page(finished.run(tmp_path, members=("ear",), videos=12, blind="ear"), tmp_path / "report"))
    whole = "12 videos, 1 of them broken"
    assert f"{whole} and answered with the class prior" in several.text
    assert f"{whole}, and 4 that no model can see or hear, all answered with the class prior" in alone.text


def test_a_member_has_no_opinion_of_a_video_that_it_cannot_see(run):
    sources, _ = run
    footage = SimpleNamespace(strips=SimpleNamespace(of=lambda _: None), links=SimpleNamespace(to=lambda _: None))
    table = PredictionTable.read(sources.predictions / "ear" / "test.parquet")
    unseen = {video for video, blind in zip(table.videos, table.unseen, strict=True) if blind}
    shown = gallery.section(Inputs.read(sources), footage).shown
    asked = {one.video: set(one.members) for one in shown}
    assert len(unseen & set(asked)) > 1
    for video, members in asked.items():
        assert members == ({"eye", "other"} if video in unseen else {"eye", "ear", "other"})
    assert np.isfinite([one.precision for one in shown]).all()
