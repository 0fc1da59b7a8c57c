"""The flow of another program is taken to the byte."""

import logging
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.clips.flow_store import FlowStore
from pipeline.core.broken_videos import read_broken
from pipeline.core.errors import UserError
from pipeline.core.manifest import Manifest, VideoRecord
from pipeline.flow import compute, dis
from pipeline.flow.denseflow import FlowFolder
from pipeline.flow.dis import NoFlow
from tests.support import tiny, tiny_flow
from tests.support.tiny_flow import CONFIG, moving

PATHS = {"a": "run/first.mp4", "b": "run/second.mp4", "c": "walk/third.mp4", "d": "walk/fourth.mp4"}
SPLIT = {"a": "train", "b": "train", "c": "val", "d": "test"}
MANIFEST = Manifest.from_records([VideoRecord(v, SPLIT[v], PATHS[v], "x", "1-x") for v in PATHS], ["x"])
SIZE = {"height": 32, "width": 40}
OTHERS = {video: dis.flow_of(tiny_flow.jpegs(moving(1, n, 4, **SIZE)), CONFIG).jpegs for n, video in enumerate(PATHS)}
"""What the other program has computed."""


def write(folder: Path, jpegs: list[bytes], pattern: str, first: int) -> None:
    folder.mkdir(parents=True)
    for number, data in enumerate(jpegs):
        (folder / pattern.format("xy"[number % 2], first + number // 2)).write_bytes(data)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Each video's flow in another of the forms."""
    root = tmp_path / "theirs"
    write(root / "a", OTHERS["a"], "{}_{:05d}.jpg", 1)
    write(root / "run/second", OTHERS["b"], "flow_{}_{:05d}.jpg", 0)
    write(root / "third", OTHERS["c"], "flow_{}_{:04d}.jpeg", 7)
    (root / "third/readme.txt").write_text("no flow")
    write(root / "d", OTHERS["d"], "{}_{:05d}.jpg", 1)
    return root


def run(folder: Path, manifest: Manifest = MANIFEST, **frames: list) -> tuple[FlowStore, list]:
    here = folder.parent
    videos = {video: moving(2, 0, 4, **SIZE) for video in PATHS} | frames
    tiny_flow.pack(here / "lmdb", {"s0": videos})
    to, machine = (here / "flow", here / "no_flow.tsv"), tiny.machine(here / "work")
    compute.compute_flow(manifest, here / "lmdb", *to, replace(CONFIG, folder=str(folder)), machine)
    return FlowStore(to[0]), read_broken(to[1])


def test_its_bytes_are_taken_in_every_form_and_no_package_is_needed(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    store, without = run(folder)
    assert without == []
    for video in PATHS:
        assert [bytes(data) for data in store.read(video, range(3))] == OTHERS[video]


def test_a_video_that_it_lacks_and_one_with_a_gap_are_listed(folder):
    shutil.rmtree(folder / "d")
    (folder / "run/second/flow_y_00001.jpg").unlink()
    store, without = run(folder)
    assert store.videos == ["a", "c"]
    assert [(row.video, row.reason) for row in without] == [("b", "partial"), ("d", "missing")]


def test_what_is_no_jpeg_is_listed_and_said(folder, caplog):
    (folder / "d/x_00002.jpg").write_bytes(b"nothing")
    _, without = run(folder)
    assert [(row.video, row.reason) for row in without] == [("d", "damaged")]
    assert "no flow: d: damaged: " in caplog.text


def test_another_number_of_frames_is_said_and_taken(folder, caplog):
    store, without = run(folder, a=moving(2, 0, 9, **SIZE))
    assert (store.frames("a"), without) == (3, [])
    assert "another number of frames: a: 3 flows there, and 9 frames here" in caplog.text
    assert ": b:" not in caplog.text


def test_a_name_that_two_videos_have_finds_neither(folder):
    rows = [VideoRecord(v, SPLIT[v], path, "x", "1-x") for v, path in (PATHS | {"d": "fly/third.mp4"}).items()]
    shutil.rmtree(folder / "d")
    with pytest.raises(UserError, match="No video of the split 'val' has flow"):
        run(folder, Manifest.from_records(rows, ["x"]))


def test_a_second_run_reads_again_what_has_changed_alone(folder, caplog):
    caplog.set_level(logging.INFO)
    before = run(folder)[0].content_key()
    caplog.clear()
    assert run(folder)[0].content_key() == before
    assert "0 of 1 shards are to be made" in caplog.text
    (folder / "a/x_00001.jpg").write_bytes(OTHERS["b"][0])
    store, _ = run(folder)
    assert store.content_key() != before
    assert bytes(store.read("a", [0])[0]) == OTHERS["b"][0]


def test_a_folder_that_is_not_there_is_said(tmp_path):
    with pytest.raises(UserError, match="flow.folder: there is no folder"):
        run(tmp_path / "nowhere")


def test_a_segment_does_not_get_the_flow_of_its_whole_file(folder):
    whole, part = "run/second.mp4", "run/second.mp4#1-2"
    records = [
        VideoRecord("a", "train", PATHS["a"], "x", "1-x"),
        VideoRecord(part, "val", whole, "x", "1-x", start=1.0, end=2.0),
        VideoRecord("d", "test", PATHS["d"], "x", "1-x"),
    ]
    of = FlowFolder.of(str(folder), (record.path for record in records))
    rows = {row["video"]: row for row in Manifest.from_records(records, ["x"]).table.astype(str).to_dict("records")}
    assert of.flow_of(rows["a"], 4).jpegs == OTHERS["a"]
    with pytest.raises(NoFlow, match="has no folder of it"):
        of.flow_of(rows[part], 4)
    write(folder / part, OTHERS["c"], "{}_{:05d}.jpg", 1)
    assert of.flow_of(rows[part], 4).jpegs == OTHERS["c"]


def test_files_that_differ_in_their_suffixes_alone_do_not_share_a_folder(folder):
    of = FlowFolder.of(str(folder), ["run/second.mp4", "run/second.avi"])
    for path in ("run/second.mp4", "run/second.avi"):
        with pytest.raises(NoFlow, match="has no folder of it"):
            of.flow_of({"video": path, "path": path}, 4)
