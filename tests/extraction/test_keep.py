"""Tars that are dropped once packed (`extract.keep: false`): the same LMDB files, and a byte of a frame held once."""

import dataclasses
import logging
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from pipeline.clips import packing
from pipeline.core.broken_videos import read_broken
from pipeline.core.errors import UserError
from pipeline.core.share import Share
from pipeline.extraction.extract import extract_corpus, extract_frames
from pipeline.extraction.outcome import NoFrames
from tests.extraction import test_extract
from tests.extraction.test_extract import CONFIG, VIDEOS, Corpus, contents, neighbours
from tests.support import tiny

DROP = dataclasses.replace(CONFIG, keep=False)


@pytest.fixture
def corpus(clips: Path, tmp_path: Path) -> Corpus:
    """Copies of a clip of three frames, and one file that is no video."""
    made = Corpus(tmp_path / "project", list(VIDEOS))
    for name in VIDEOS:
        (made.root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(clips / "short.mp4", made.root / name)
    (made.root / "g.mp4").write_bytes(b"no video")
    return made


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the videos that FFmpeg is called for, as it is called."""
    names: list[str] = []

    def listed(video: Path, *arguments: Any) -> Any:
        names.append(video.name)
        return extract_frames(video, *arguments)

    monkeypatch.setattr("pipeline.extraction.extract.extract_frames", listed)
    return names


def pack(corpus: Corpus, share: Share | None = None) -> Path:
    (corpus.home / "work" / "pack").mkdir(exist_ok=True)
    packing.pack(corpus.out, corpus.home / "lmdb", corpus.home / "work" / "pack", 2, share)
    return corpus.home / "lmdb"


def held(folder: Path) -> dict[str, set[int]]:
    """Suffix -> the inodes of all files of it below a folder that have a byte."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.stat().st_size]
    return {end: {path.stat().st_ino for path in files if path.suffix == end} for end in (".tar", ".lmdb", ".jpg")}


def dropped_anew(corpus: Corpus) -> dict[str, str]:
    """What `keep: false` publishes of the same videos where nothing was kept before."""
    other = Corpus(corpus.home.parent / "anew", corpus.videos)
    shutil.copytree(corpus.root, other.root)
    other.extract(DROP)
    return contents(other.out)


def test_the_packed_frames_are_the_same_bytes_as_of_kept_tars(corpus: Corpus, tmp_path: Path):
    corpus.extract()
    kept, index, ledger = contents(pack(corpus)), (corpus.out / "index.tsv").read_bytes(), corpus.broken.read_bytes()
    other = Corpus(tmp_path / "elsewhere", list(VIDEOS), workers=1)
    shutil.copytree(corpus.root, other.root)

    other.extract(DROP)

    assert contents(pack(other)) == kept
    assert (other.out / "index.tsv").read_bytes() == index
    assert other.broken.read_bytes() == ledger
    assert [row.video for row in read_broken(other.broken)] == ["g.mp4"]


def test_no_tar_is_left_and_each_lmdb_file_is_one_file_everywhere(corpus: Corpus):
    corpus.extract(DROP)
    lmdb = pack(corpus)

    assert sorted(path.name for path in corpus.out.iterdir()) == [
        "SHA256SUMS", "index.tsv", *(f"shard-{number:05d}.lmdb" for number in range(4)), "tars.SHA256SUMS"
    ]  # fmt: skip
    found = held(corpus.home)
    assert not found[".tar"] | found[".jpg"]
    assert found[".lmdb"] == {path.stat().st_ino for path in lmdb.glob("*.lmdb")}
    assert len(found[".lmdb"]) == CONFIG.shards


def test_nothing_is_made_twice_and_one_more_video_makes_one_shard_anew(corpus: Corpus, decoded: list[str]):
    corpus.extract(DROP)
    before = contents(corpus.out)
    decoded.clear()
    corpus.extract(DROP)
    assert (decoded, contents(corpus.out)) == ([], before)

    shutil.copyfile(corpus.root / "a.mp4", corpus.root / test_extract.NEW)
    corpus.videos.append(test_extract.NEW)
    corpus.extract(DROP)
    assert set(decoded) == neighbours(corpus.videos, test_extract.NEW)
    assert len(held(corpus.store)[".lmdb"]) == CONFIG.shards, "the old version of the shard is gone"


def test_kept_tars_are_packed_and_not_extracted_again(corpus: Corpus, decoded: list[str]):
    corpus.extract()
    decoded.clear()

    corpus.extract(DROP)

    assert decoded == []
    assert not held(corpus.home)[".tar"]
    assert contents(corpus.out) == dropped_anew(corpus)


def test_tars_that_another_project_keeps_stay(corpus: Corpus, decoded: list[str]):
    corpus.extract()
    kept = held(corpus.store)[".tar"]
    decoded.clear()
    machine = tiny.machine(corpus.home / "work", workers=2)
    (corpus.home / "other").mkdir()
    outs = corpus.home / "other" / "frames", corpus.home / "other" / "broken.tsv"

    extract_corpus(corpus.manifest, corpus.root, *outs, DROP, machine)
    corpus.extract()

    assert decoded == []
    assert held(corpus.store)[".tar"] == kept
    assert held(corpus.store)[".lmdb"] == held(corpus.home / "other")[".lmdb"]


def test_from_false_to_true_extracts_again_and_says_so(corpus: Corpus, decoded: list[str], caplog):
    corpus.extract(DROP)
    decoded.clear()

    with caplog.at_level(logging.INFO):
        corpus.extract()

    assert sorted(decoded) == sorted(Path(name).name for name in VIDEOS)
    assert "4 shards are extracted anew: extract.keep was false, so that their tars were dropped" in caplog.text
    assert not held(corpus.home)[".lmdb"]


@pytest.mark.parametrize("damage", ["cut", "changed", "gone", "without its record", "with a cut record"])
def test_a_damaged_shard_is_made_again_from_its_videos(corpus: Corpus, decoded: list[str], damage: str, caplog):
    corpus.extract(DROP)
    before = contents(corpus.out)
    decoded.clear()
    lmdb = max(corpus.store.glob("*.lmdb"), key=lambda path: path.stat().st_size)
    content, record = lmdb.read_bytes(), lmdb.with_suffix(".json")
    match damage:
        case "cut":
            os.truncate(lmdb, len(content) // 2)
        case "changed":
            lmdb.write_bytes(content[:-100] + b"\1" + content[-99:])
        case "gone":
            lmdb.unlink()
        case "without its record":
            record.unlink()
        case "with a cut record":
            os.truncate(record, 40)

    corpus.extract(DROP)

    assert 0 < len(decoded) < len(VIDEOS)
    assert contents(corpus.out) == before
    told = "is damaged and is made again from its videos, since its tar was dropped (extract.keep)" in caplog.text
    assert told == (damage in ("cut", "changed", "with a cut record"))


def test_another_format_of_lmdb_files_is_another_shard(corpus: Corpus, decoded: list[str], monkeypatch):
    corpus.extract(DROP)
    decoded.clear()
    monkeypatch.setattr(packing, "FORMAT", packing.FORMAT + 1)
    corpus.extract(DROP)
    assert len(decoded) == len(VIDEOS)


def test_a_failure_that_may_be_the_machines_is_tried_again(corpus: Corpus, monkeypatch, decoded: list[str]):
    listed = test_extract.extract_frames

    def fails(video: Path, *arguments: Any) -> Any:
        if video.name == "a.mp4":
            raise NoFrames("timeout", "for now", again=True)
        return listed(video, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr("pipeline.extraction.extract.extract_frames", fails)
        corpus.extract(DROP)
    decoded.clear()

    corpus.extract(DROP)

    assert sorted(decoded) == sorted(neighbours(VIDEOS, "a.mp4"))
    assert contents(corpus.out) == dropped_anew(corpus)


def test_shares_give_the_bytes_of_one_run(corpus: Corpus):
    machine = tiny.machine(corpus.home / "work", workers=1)
    made = (corpus.manifest, corpus.root, corpus.out, corpus.broken, DROP, machine)
    assert not extract_corpus(*made, Share(2, 2))
    assert extract_corpus(*made, Share(1, 2))
    assert contents(corpus.out) == dropped_anew(corpus)
    pack(corpus, Share(1, 3))  # each finds all shards there, and writes the out
    assert len(held(corpus.home)[".lmdb"]) == CONFIG.shards


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: os.truncate(path, path.stat().st_size - 1), r"shard-00003\.lmdb is damaged.*doctor --deep"),
        (Path.unlink, r"shard-00003\.lmdb is damaged \(it is missing.*`dvc repro extract` makes it again"),
        (lambda path: (path.parent / "tars.SHA256SUMS").write_text("0" * 64 + "  x.tar\n"), r"tars\.SHA256SUMS is dam"),
    ],
)
def test_what_was_damaged_before_packing_is_refused(corpus: Corpus, damage, message: str):
    corpus.extract(DROP)
    damage(corpus.out / "shard-00003.lmdb")

    with pytest.raises(UserError, match=message):
        pack(corpus)


def test_a_symbolic_link_that_dvc_has_made_is_followed(corpus: Corpus):
    corpus.extract(DROP)
    expected = contents(pack(corpus))
    for path in corpus.out.glob("*.lmdb"):
        cached = corpus.home / f"cache {path.name}"
        shutil.copyfile(path, cached)
        path.unlink()
        path.symlink_to(cached)

    lmdb = pack(corpus)
    assert contents(lmdb) == expected
    assert not any(path.is_symlink() for path in lmdb.iterdir())
