import numpy as np
import pytest

from pipeline.near_doubles import search
from tests.support.moving import clip, copies, jpegs


@pytest.mark.parametrize("videos", [0, 1, 2, 5, 9, 40])
@pytest.mark.parametrize(("rows", "columns"), [(1 << 11, 1 << 14), (3, 4), (7, 2), (4, 40)])
def test_the_nearest_are_those_of_a_loop(videos, rows, columns, monkeypatch):
    monkeypatch.setattr(search, "ROWS", rows)
    monkeypatch.setattr(search, "COLUMNS", columns)
    outlines = np.random.default_rng(videos).normal(size=(videos, 16)).astype(np.float32)
    outlines /= np.linalg.norm(outlines, axis=1, keepdims=True)

    expected = set()
    for row in range(videos):
        others = sorted((other for other in range(videos) if other != row), key=lambda o: -outlines[row] @ outlines[o])
        expected |= {(min(row, other), max(row, other)) for other in others[: search.NEAREST]}

    assert [tuple(pair) for pair in search.nearest(outlines).tolist()] == sorted(expected)


def test_copies_are_found_and_other_clips_are_not(packed, tmp_path):
    whole = clip(1)
    still = np.repeat(whole[:1], 60, axis=0)
    ours = {"whole": jpegs(whole), "half": copies(whole)["half"], "trimmed": copies(whole)["trimmed"]}
    others = {f"other{n}": jpegs(clip(n)) for n in range(2, 14)}
    videos = {**ours, "still": jpegs(still), "still too": jpegs(still), **others}

    found = search.find(packed(videos), list(videos), 30, 0.8, tmp_path / "scratch")

    assert {(pair.one, pair.other) for pair in found.pairs} == {
        ("whole", "half"), ("whole", "trimmed"), ("half", "trimmed"),
    }  # fmt: skip
    assert [pair.likeness for pair in found.pairs] == sorted((pair.likeness for pair in found.pairs), reverse=True)
    assert found.still == ["still", "still too"]
    assert not list((tmp_path / "scratch").glob("*near*")), "what it needed on the way is deleted"


def test_no_videos_have_no_pairs(packed, tmp_path):
    store = packed({"still": jpegs(np.repeat(clip(1)[:1], 30, axis=0))})
    assert search.find(store, ["still"], 30, 0.8, tmp_path / "scratch") == ([], ["still"])
    assert search.find(store, [], 30, 0.8, tmp_path / "scratch") == ([], [])
