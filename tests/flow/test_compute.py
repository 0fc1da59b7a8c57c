"""The flow of a corpus: what is kept, what is listed, and what a second run makes again."""

import logging
import time
from dataclasses import replace
from pathlib import Path

import pytest
import simplejpeg

from pipeline.clips.flow_store import FlowStore
from pipeline.clips.frame_store import FrameStore
from pipeline.core import checksums
from pipeline.core.broken_videos import read_broken
from pipeline.core.errors import UserError
from pipeline.core.manifest import Manifest, VideoRecord
from pipeline.core.share import Share
from pipeline.flow import compute, dis
from tests.support import forks, tiny, tiny_flow
from tests.support.tiny_flow import CONFIG, moving

SPLIT = {"a": "train", "b": "train", "c": "val", "d": "test", "one": "train", "gone": "test"}
SIZE = {"height": 32, "width": 40}


def manifest() -> Manifest:
    return Manifest.from_records([VideoRecord(v, s, f"{v}.mp4", "x", "1-x") for v, s in SPLIT.items()], ["x"])


def shards(**changed: list) -> dict[str, dict[str, list]]:
    """Videos of a corpus, of which `gone` gave no frame."""
    videos = {name: moving(n + 1, 0, 3 + n, seed=n, **SIZE) for n, name in enumerate("abcd")}
    videos |= {"one": moving(0, 0, 1, **SIZE)} | changed
    return {"s0": {v: videos[v] for v in "ab"}, "s1": {v: videos[v] for v in ("c", "d", "one")}, "s2": {}}


def run(
    folder: Path, config=CONFIG, share: Share | None = None, workers: int = 2, **changed
) -> tuple[FlowStore | None, Path]:
    out, ledger = folder / "flow", folder / "no_flow.tsv"
    tiny_flow.pack(folder / "lmdb", shards(**changed))
    machine = tiny.machine(folder / "work", workers=workers)
    done = compute.compute_flow(manifest(), folder / "lmdb", out, ledger, config, machine, share)
    return FlowStore(out) if done else None, ledger


def content(store: FlowStore) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(store.root.iterdir())}


def test_flow_is_kept_in_the_shards_of_the_frames_and_what_has_none_is_listed(tmp_path):
    store, ledger = run(tmp_path)
    assert store.videos == ["a", "b", "c", "d"]
    assert [store.frames(video) for video in "abcd"] == [2, 3, 4, 5]
    frames = FrameStore(tmp_path / "lmdb")
    for video in "abcd":
        expected = dis.flow_of(frames.read(video, range(frames.frames(video))), CONFIG).jpegs
        assert [bytes(data) for data in store.read(video, range(store.frames(video)))] == expected
        assert [bytes(data) for data in store.read(video, [1])] == expected[2:4]
    assert [(row.video, row.split, row.path, row.reason) for row in read_broken(ledger)] == [
        ("one", "train", "one.mp4", "one_frame")
    ]
    assert sorted(file.name for file in store.root.glob("*.lmdb")) == ["s0.lmdb", "s1.lmdb", "s2.lmdb"]
    for file in (ledger, *store.root.glob("*.lmdb")):
        checksums.check(file)
        assert file.name in "".join(listed.read_text() for listed in file.parent.glob("*SHA256SUMS"))


def test_a_video_without_flow_is_not_broken_where_it_has_frames(tmp_path):
    run(tmp_path)
    store = FlowStore(tmp_path / "flow", FrameStore(tmp_path / "lmdb").videos)
    assert [("one" in store, store.broken("one")), ("gone" in store, store.broken("gone"))] == [
        (False, False),
        (False, True),
    ]
    assert "a" in store
    with pytest.raises(UserError, match=r"no video 'one'.*dvc repro flow.*data/no_flow.tsv says why"):
        store.read("one", [0])
    with pytest.raises(IndexError):
        store.read("a", [2])


def test_the_same_run_has_the_same_bytes_by_however_many_workers(tmp_path):
    one, _ = run(tmp_path / "one", workers=1)
    other, _ = run(tmp_path / "other", workers=3)
    assert content(one) == content(other)


def test_a_second_run_makes_what_has_changed_and_no_more(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    before = run(tmp_path)[0].content_key()
    assert "3 of 3 shards are to be made (5 videos)" in caplog.text
    caplog.clear()
    assert run(tmp_path)[0].content_key() == before
    assert "0 of 3 shards are to be made" in caplog.text
    caplog.clear()
    store, _ = run(tmp_path, b=moving(0, 3, 4, **SIZE))
    assert "1 of 3 shards are to be made (2 videos)" in caplog.text
    assert store.content_key() != before


@pytest.mark.parametrize("change", [{"preset": "fast"}, {"bound": 8.0}, {"quality": 60}, {"short_side": 24}], ids=str)
def test_every_setting_makes_other_flow(tmp_path, change):
    before, _ = run(tmp_path)
    key, old = before.content_key(), content(before)
    after, _ = run(tmp_path, replace(CONFIG, **change))
    assert after.content_key() != key
    assert content(after)["s0.lmdb"] != old["s0.lmdb"]


def test_a_damaged_shard_is_made_again(tmp_path, caplog):
    key = run(tmp_path)[0].content_key()
    shard = max((tmp_path / "work/flow").glob("*.lmdb"), key=lambda file: file.stat().st_size)
    changed = bytearray(shard.read_bytes())
    changed[-1] ^= 1
    shard.unlink()  # of which the out has a link
    shard.write_bytes(changed)
    assert run(tmp_path)[0].content_key() == key
    assert "is damaged and is made again" in caplog.text


def test_shares_make_the_same_as_one_run(tmp_path):
    assert run(tmp_path / "shares", share=Share(2, 2))[0] is None
    store, _ = run(tmp_path / "shares", share=Share(1, 2))
    whole, _ = run(tmp_path / "whole")
    assert content(store) == content(whole)


def test_a_damaged_frame_is_said_with_its_shard(tmp_path):
    tiny_flow.pack(tmp_path / "lmdb", shards())
    file = tmp_path / "lmdb/s0.lmdb"
    data = bytearray(file.read_bytes())
    place = data.find(simplejpeg.encode_jpeg(tiny_flow.moving(1, 0, 1, seed=0, **SIZE)[0], 95)[200:260])
    assert place > 0
    data[place] ^= 1
    file.unlink()
    file.write_bytes(data)
    machine = tiny.machine(tmp_path / "work")
    with pytest.raises(UserError, match=r"s0.lmdb is damaged \(video 'a'"):
        compute.compute_flow(manifest(), tmp_path / "lmdb", tmp_path / "flow", tmp_path / "n.tsv", CONFIG, machine)
    assert not (tmp_path / "flow").exists()


def test_a_corpus_in_which_nothing_moves_on_is_refused_with_the_way_out(tmp_path):
    with pytest.raises(UserError, match=r"No video of the split 'val' has flow.*without one"):
        run(tmp_path, c=moving(0, 0, 1, **SIZE))
    assert not (tmp_path / "flow").exists()


def run_slowly(folder: Path, seconds: float) -> None:
    """Write an x into `seen` for each video, and take so long over it."""
    real = dis.flow_of

    def slowly(jpegs, config):
        (folder / "seen").open("a").write("x")
        time.sleep(seconds)
        return real(jpegs, config)

    dis.flow_of = slowly
    run(folder, workers=1)


@pytest.mark.slow
def test_a_run_that_was_killed_goes_on_after_its_last_shard(tmp_path):
    killed = forks.start(run_slowly, tmp_path, 0.2)
    while len(list((tmp_path / "work/flow").glob("*.json"))) < 1 and killed.is_alive():
        time.sleep(0.02)
    killed.kill()
    killed.join()
    assert not (tmp_path / "flow").exists()
    before = len((tmp_path / "seen").read_text())
    assert 2 <= before < 5
    assert forks.status(run_slowly, tmp_path, 0) == 0
    assert len((tmp_path / "seen").read_text()) - before == 3  # the videos of the second shard
    whole, _ = run(tmp_path / "whole")
    assert content(FlowStore(tmp_path / "flow")) == content(whole)
