"""The page says which videos are copies, where they flatter its figures, and nothing where there are none."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.core import checksums, doubles, tsv
from pipeline.core.manifest import Manifest
from pipeline.report.inputs import InputPaths
from tests.support import finished
from tests.support.html_page import Reader, check, page


def write(sources: InputPaths, sets: dict[str, int], dropped: tuple[str, ...] = ()) -> None:
    """Make copies of some videos: id -> number of its set."""
    corpus = Manifest.read(sources.manifest, sources.classes)
    numbers = np.array([sets.get(video, -1) for video in corpus.videos])
    kept = np.array([video not in dropped for video in corpus.videos])
    tsv.write(sources.doubles, doubles.table(corpus, numbers, kept))
    checksums.write(sources.doubles.with_suffix(".SHA256SUMS"), [sources.doubles])


@pytest.fixture
def sources(tmp_path: Path) -> InputPaths:
    return finished.run(tmp_path / "run", members=("tsn",))


def cells(text: str, kind: str) -> list[str]:
    row = text.partition(f'<tr><th scope="row">{kind}</th>')[2].partition("</tr>")[0]
    return row.replace("<td>", " ").replace("</td>", " ").split()


def test_copies_are_counted_by_split_and_named(sources: InputPaths, tmp_path: Path):
    twice = {
        "train0": 0,
        "test0": 0,
        "test1": 1,
        "test2": 1,
        "val3": 1,
        "train3": 2,
        "train4": 2,
        "val0": 3,
        "train1": 3,
    }
    write(sources, twice, dropped=("train1",))
    text = page(sources, tmp_path / "out")
    check(text)

    assert cells(text, "across splits") == ["2", "5", "1", "1", "3"]
    assert cells(text, "within a split") == ["1", "2", "2", "0", "0"]
    assert cells(text, "dropped") == ["1", "1", "1", "0", "0"]
    assert "<strong>3 of 6 test videos have a copy in another split" in text
    section = text.partition('<section id="doubles">')[2].partition("</section>")[0]
    assert [section.count(f'<span class="name">{video}</span>') for video in twice] == [1] * len(twice)
    assert "train1 (dropped)" in Reader(text).text


def test_no_split_is_blamed_for_copies_within_one(sources: InputPaths, tmp_path: Path):
    write(sources, {"train0": 0, "train3": 0})
    text = page(sources, tmp_path / "out")
    assert cells(text, "within a split") == ["1", "2", "2", "0", "0"]
    assert "have a copy in another split" not in text


def test_without_copies_or_with_those_of_broken_files_alone_the_page_has_no_such_section(sources, tmp_path: Path):
    before = page(sources, tmp_path / "out")
    assert 'id="doubles"' not in before
    write(sources, {"train5": 0, "val5": 0, "test5": 0})  # the last of each split is broken
    assert page(sources, tmp_path / "other") == before
