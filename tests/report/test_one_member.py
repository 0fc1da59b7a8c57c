"""The page of one member, whose ensemble is only itself: nothing stands there twice, or empty."""

import pytest

from tests.support import finished
from tests.support.html_page import check, page


@pytest.mark.parametrize("mean", ["probability", "rank"])
def test_nothing_is_told_of_an_ensemble(tmp_path, mean):
    sources = finished.run(tmp_path, list("abcdefghijk"), members=("only",), videos=30, resamples=5, mean=mean)
    text = page(sources, tmp_path / "report")
    read = check(text)
    assert not {"variants", "members"} & set(read.tables)
    thirds, classes = read.tables["classes"]
    assert thirds[0] == ["third", "classes", "train videos", "AP"]
    assert classes[0] == ["class", "AP, worst first", "train", "test"]
    assert all(len(row) == 4 for row in classes)
    rows, bins = read.tables["calibration"]
    assert [row[0] for row in rows] == ["model", "only"]
    assert len(bins) > 1
    assert "Bins of only" in read.text
    assert 'class="line fused"' not in text
    assert 'name="members"' not in text
    assert "members right" not in read.text


def test_several_members_are_told_of_beside_the_ensemble(tmp_path):
    sources = finished.run(tmp_path, list("abcdefghijk"), members=("one", "two"), videos=30, resamples=5)
    text = page(sources, tmp_path / "report")
    read = check(text)
    assert read.tables["classes"][1][0][1] == "AP of the ensemble, worst first"
    assert [row[0] for row in read.tables["calibration"][0]] == ["model", "one", "two", "ensemble"]
    assert 'class="line fused"' in text
    assert text.count("of 2 members right") == text.count('class="exhibit"')
    assert [row[0].split()[0] for row in read.tables["gallery"][0]] == ["member", "one", "two"]
