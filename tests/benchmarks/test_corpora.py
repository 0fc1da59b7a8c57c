"""The small corpora that docs/small.md measures on are what they say: readable, seeded, and of reversed pairs."""

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks" / "corpora"


@pytest.fixture(scope="module")
def gestures():
    sys.path.insert(0, str(FOLDER))
    try:
        import gestures  # a script, not a package

        yield gestures
    finally:
        sys.path.remove(str(FOLDER))


def test_a_gesture_is_its_partner_backwards(gestures):
    for label, partner in list(gestures.REVERSAL.items())[:2]:
        backwards, _ = gestures.render(gestures.Clip(0, 5, label))
        forwards, _ = gestures.render(gestures.Clip(0, 5, partner))
        np.testing.assert_array_equal(backwards, forwards[::-1])
        assert not np.array_equal(forwards, backwards)


def test_the_seed_is_all_that_decides(gestures):
    one, again, other = (gestures.render(gestures.Clip(seed, 3, "wave"))[0] for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, again)
    assert one.shape != other.shape or not np.array_equal(one, other)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "header"), [("gestures", ["path", "label", "group"]), ("scenes", ["path", "labels"])])
def test_a_corpus_is_a_csv_and_the_files_that_it_names(tmp_path, name, header):
    subprocess.run([sys.executable, str(FOLDER / f"{name}.py"), str(tmp_path), "--clips", "3"], check=True)
    with (tmp_path / "labels.csv").open(encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert rows[0] == header
    assert len(rows) == 4
    assert all((tmp_path / row[0]).stat().st_size > 1000 for row in rows[1:])


def test_the_name_of_a_grid_file_is_its_words():
    sys.path.insert(0, str(FOLDER))
    try:
        import talker
    finally:
        sys.path.remove(str(FOLDER))
    assert talker.labels_of("bbaf2n", ["command", "colour", "preposition", "adverb"]) == "bin;blue;at;now"
