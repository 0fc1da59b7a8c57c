"""What `pipeline plan` measures where flow is not computed, but taken over from a folder."""

import sys
from pathlib import Path

import pytest

from pipeline.cli import sense_rates
from pipeline.core import params
from pipeline.core.errors import UserError
from pipeline.core.manifest import Manifest, VideoRecord
from tests.support import tiny, tiny_flow

FRAMES, SIZE = 4, {"height": 32, "width": 40}
VIDEOS = {"a": "train", "b": "val", "c": "test"}
CORPUS = Manifest.from_records([VideoRecord(v, split, f"{v}.mp4", "x", "1-x") for v, split in VIDEOS.items()], ["x"])
X, Y = tiny_flow.jpegs(tiny_flow.moving(1, 0, 2, **SIZE))


@pytest.fixture
def theirs(tmp_path, monkeypatch) -> Path:
    """A folder for flow, beside packed frames, where OpenCV is missing."""
    monkeypatch.setitem(sys.modules, "cv2", None)
    tiny_flow.pack(tmp_path / "lmdb", {"s0": {v: tiny_flow.moving(1, 0, FRAMES, **SIZE) for v in VIDEOS}})
    (tmp_path / "theirs").mkdir()
    return tmp_path / "theirs"


def write(folder: Path, flows: int, prefix: str) -> None:
    folder.mkdir(parents=True)
    for number in range(flows):
        (folder / f"{prefix}x_{number:05}.jpg").write_bytes(X)
        (folder / f"{prefix}y_{number:05}.jpg").write_bytes(Y)


def measured(theirs: Path, made: bool) -> tuple:
    here = theirs.parent
    section = params.plain(tiny_flow.CONFIG) | {"folder": str(theirs)}
    return sense_rates.flow({"flow": section}, CORPUS, here, tiny.machine(here / "work"), made=made)


def test_flow_of_the_corpus_is_taken_over_with_all_that_each_video_has(theirs):
    """Twice as many flows as frames, as of a program that read twice as many frames a second."""
    for video in VIDEOS:
        write(theirs / video, 2 * FRAMES, "flow_")
    store, speed, size = measured(theirs, made=False)
    assert [store.frames(video) for video in VIDEOS] == [8, 8, 8]
    assert bytes(store.read("b", [7])[1]) == Y
    assert 2 * (len(X) + len(Y)) < size < 2 * (len(X) + len(Y)) + 64 * 1024  # of a frame; the rest is LMDB's own
    assert speed > 0


def test_made_clips_are_lent_the_flow_of_a_video_for_their_own_number_of_frames(theirs, caplog):
    write(theirs / "class/other", 2, "flow_")
    store, *_ = measured(theirs, made=True)
    assert [store.frames(video) for video in VIDEOS] == [FRAMES - 1] * 3
    assert [bytes(data) for data in store.read("a", [0, 1, 2])] == [X, Y] * 3
    assert caplog.text == ""  # no word of other numbers of frames


def test_a_folder_without_flow_is_refused(theirs):
    with pytest.raises(UserError, match=r"flow.folder: .*theirs has no VIDEO/flow_x_00000.jpg or VIDEO/x_00001.jpg"):
        measured(theirs, made=True)


def test_the_flow_of_one_video_of_any_split_is_enough(theirs):
    """Those of train and val that were looked at have none, and others of the corpus may have some."""
    write(theirs / "c", FRAMES - 1, "flow_")
    store, *_ = measured(theirs, made=False)
    assert (store.videos, store.frames("c")) == (["c"], FRAMES - 1)


@pytest.mark.parametrize(("made", "mends"), [(False, "that --videos describes"), (True, "with longer --seconds")])
def test_videos_without_flow_are_said(theirs, caplog, made, mends):
    """A made clip of one frame is lent none."""
    write(theirs / "other", 1, "flow_")
    if made:
        tiny_flow.pack(theirs.parent / "lmdb", {"s0": {v: tiny_flow.moving(1, 0, 1, **SIZE) for v in VIDEOS}})
    with pytest.raises(UserError, match=f"^None of the 3 videos that were looked at has flow, as said above.*{mends}"):
        measured(theirs, made)
    assert "no flow: a: " in caplog.text
