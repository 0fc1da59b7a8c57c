"""A corpus becomes shards: the same bytes however made, no shard twice, nothing half-written, nobody forgotten."""

import dataclasses
import hashlib
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import simplejpeg

from pipeline.core import fingerprints, frame_index, scratch, tsv
from pipeline.core.broken_videos import read_broken
from pipeline.core.errors import UserError
from pipeline.core.manifest import SPLITS, Manifest, VideoRecord
from pipeline.extraction import extract
from pipeline.extraction.config import ExtractConfig
from pipeline.extraction.extract import extract_corpus, jpeg_size, plan, shard_number
from pipeline.extraction.ffmpeg import FORMAT, extract_frames
from pipeline.extraction.outcome import Extracted, NoFrames
from tests.support import forks, tiny
from tests.support.corpus import FFMPEG, ffmpeg

ROOT = Path(__file__).parents[2]
CONFIG = ExtractConfig(fps=30, short_side=32, jpeg_qscale=2, timeout_seconds=60, shards=4)
VIDEOS = ("a.mp4", "b.mp4", "c.mp4", "d.mp4", "ä ö/e.mp4", "ä ö/f.mp4", "g.mp4", "h.mp4")
NEW = "added.mp4"


@dataclasses.dataclass
class Corpus:
    """A small corpus and the folders that its extraction works in."""

    home: Path
    videos: list[str]
    workers: int = 2

    @property
    def root(self) -> Path:
        return self.home / "videos"

    @property
    def out(self) -> Path:
        return self.home / "frames"

    @property
    def broken(self) -> Path:
        return self.home / "broken.tsv"

    @property
    def store(self) -> Path:
        return self.home / "work" / "extract"

    @property
    def manifest(self) -> Manifest:
        """Every third video is val, every third test."""
        return Manifest.from_records(
            [
                VideoRecord(name, SPLITS[n % 3], name, "x", fingerprints.of_file(self.root / name))
                for n, name in enumerate(self.videos)
            ],
            ["x"],
        )

    def extract(self, config: ExtractConfig = CONFIG, binary: str | None = None) -> None:
        machine = tiny.machine(self.home / "work", workers=self.workers, ffmpeg=binary)
        extract_corpus(self.manifest, self.root, self.out, self.broken, config, machine)

    def shard_of(self, video: str) -> str:
        index = tsv.read(self.out / "index.tsv", frame_index.COLUMNS, "extract")
        return str(index.set_index("video").at[video, "shard"])


@pytest.fixture
def corpus(clips: Path, tmp_path: Path) -> Corpus:
    """Copies of a clip of three frames."""
    made = Corpus(tmp_path / "project", list(VIDEOS))
    for name in VIDEOS:
        (made.root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(clips / "short.mp4", made.root / name)
    return made


@pytest.fixture
def other_video(tmp_path: Path) -> Path:
    path = tmp_path / "other.mp4"
    ffmpeg(["-f", "lavfi", "-i", "color=red:s=64x48:d=0.1", "-pix_fmt", "yuv420p", str(path)])
    return path


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the videos that FFmpeg is called for, as it is called."""
    names: list[str] = []
    real = extract_frames

    def listed(video: Path, *arguments: Any) -> Extracted:
        names.append(video.name)
        return real(video, *arguments)

    monkeypatch.setattr("pipeline.extraction.extract.extract_frames", listed)
    return names


def contents(folder: Path) -> dict[str, str]:
    """The hash of every file."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def inodes(folder: Path) -> dict[str, int]:
    return {path.stem: path.stat().st_ino for path in folder.glob("*.tar")}


def neighbours(videos: Iterable[str], video: str) -> set[str]:
    """Names of the videos that share a shard with `video`."""
    number = shard_number(video, CONFIG.shards)
    return {Path(other).name for other in videos if shard_number(other, CONFIG.shards) == number}


def whole(store: Path) -> bool:
    """Nothing but finished shards is left in the scratch folder."""
    tars = {path.stem for path in store.glob("*.tar")}
    return tars == {path.stem for path in store.glob("*.json")} and {p.suffix for p in store.iterdir()} <= {
        ".tar",
        ".json",
        scratch.CLAIM,
    }


def test_a_shard_holds_what_ffmpeg_gave_for_its_videos(corpus: Corpus, tmp_path: Path):
    corpus.extract()

    found = {}
    for path in sorted(corpus.out.glob("*.tar")):
        with tarfile.open(path) as tar:
            names = tar.getnames()
            assert names == sorted(names)
            for member in tar:
                file = tar.extractfile(member)
                assert file is not None
                found[member.name] = file.read()
                assert (member.mtime, member.uid, member.gid, member.uname, member.gname) == (0, 0, 0, "", "")
    (tmp_path / "alone").mkdir()
    extract_frames(corpus.root / "a.mp4", tmp_path / "alone", CONFIG, FFMPEG)
    jpegs = {path.name: path.read_bytes() for path in (tmp_path / "alone").iterdir()}
    assert found == {f"{video}/{name}": jpeg for video in VIDEOS for name, jpeg in jpegs.items()}
    assert len(jpegs) == 3


def test_the_index_says_where_every_video_is_and_how_large(corpus: Corpus):
    corpus.extract()

    index = tsv.read(corpus.out / "index.tsv", frame_index.COLUMNS, "extract")
    assert index["video"].tolist() == sorted(VIDEOS)
    for row in index.itertuples():
        with tarfile.open(corpus.out / f"{row.shard}.tar") as tar:
            assert f"{row.video}/000002.jpg" in tar.getnames()
    assert {tuple(row[2:]) for row in index.itertuples(index=False)} == {("3", "54", "32", "3", "3", "0", "")}
    assert sorted(path.stem for path in corpus.out.glob("*.tar")) == [f"shard-{n:05d}" for n in range(4)]
    assert read_broken(corpus.broken) == []


def test_a_long_id_survives(corpus: Corpus):
    name = f"{'ü' * 100}/{'x' * 200}.mp4"
    (corpus.root / name).parent.mkdir()
    shutil.copyfile(corpus.root / "a.mp4", corpus.root / name)
    corpus.videos.append(name)

    corpus.extract()
    with tarfile.open(corpus.out / f"{corpus.shard_of(name)}.tar") as tar:
        assert f"{name}/000000.jpg" in tar.getnames()


def test_any_number_of_workers_in_any_folder_gives_the_same_bytes(corpus: Corpus, tmp_path: Path):
    (corpus.root / "b.mp4").write_bytes(b"no video")
    elsewhere = Corpus(tmp_path / "elsewhere", list(VIDEOS), workers=1)
    shutil.copytree(corpus.root, elsewhere.root)
    corpus.workers = 4

    corpus.extract()
    elsewhere.extract()

    assert contents(corpus.out) == contents(elsewhere.out)
    assert corpus.broken.read_bytes() == elsewhere.broken.read_bytes()


def test_nothing_is_made_twice(corpus: Corpus, decoded: list[str]):
    corpus.extract()
    assert sorted(decoded) == sorted(Path(name).name for name in VIDEOS)
    before = contents(corpus.out)

    decoded.clear()
    corpus.extract()
    assert decoded == []
    assert contents(corpus.out) == before


def test_the_out_is_the_scratch_folders_file(corpus: Corpus):
    corpus.extract()

    assert sorted(inodes(corpus.out).values()) == sorted(inodes(corpus.store).values())


def test_one_more_video_makes_one_shard_anew(corpus: Corpus, decoded: list[str]):
    corpus.extract()
    before = inodes(corpus.out)
    decoded.clear()

    shutil.copyfile(corpus.root / "a.mp4", corpus.root / NEW)
    corpus.videos.insert(3, NEW)
    corpus.extract()

    assert set(decoded) == neighbours(corpus.videos, NEW)
    assert 1 < len(decoded) < len(corpus.videos)
    after = inodes(corpus.out)
    assert {name for name in after if after[name] != before[name]} == {corpus.shard_of(NEW)}
    assert whole(corpus.store)
    assert len(list(corpus.store.glob("*.tar"))) == CONFIG.shards  # the old version of the shard is gone


def test_a_replaced_video_makes_one_shard_anew(corpus: Corpus, decoded: list[str], other_video: Path):
    corpus.extract()
    before = contents(corpus.out)
    decoded.clear()

    shutil.copyfile(other_video, corpus.root / "c.mp4")
    corpus.extract()

    assert set(decoded) == neighbours(corpus.videos, "c.mp4")
    after = contents(corpus.out)
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {f"{corpus.shard_of('c.mp4')}.tar", "index.tsv", "SHA256SUMS"}


def test_a_removed_video_makes_one_shard_anew(corpus: Corpus, decoded: list[str]):
    corpus.extract()
    decoded.clear()

    corpus.videos.remove("h.mp4")
    corpus.extract()

    assert set(decoded) == neighbours(VIDEOS, "h.mp4") - {"h.mp4"}


def test_other_labels_and_splits_make_no_shard_anew(corpus: Corpus, decoded: list[str]):
    corpus.extract()
    decoded.clear()

    corpus.videos.reverse()  # every video is in another split and at another place
    corpus.extract()

    assert decoded == []


@pytest.mark.parametrize("changed", [{"fps": 15}, {"short_side": 34}, {"jpeg_qscale": 5}, {"most_damage": 0.5}])
def test_another_setting_makes_all_anew(corpus: Corpus, decoded: list[str], changed: dict[str, int]):
    corpus.extract()
    decoded.clear()

    corpus.extract(dataclasses.replace(CONFIG, **changed))
    assert len(decoded) == len(VIDEOS)


def test_another_limit_of_time_or_memory_makes_no_shard_anew(corpus: Corpus, decoded: list[str]):
    corpus.extract()
    decoded.clear()

    corpus.extract(dataclasses.replace(CONFIG, timeout_seconds=90.0, timeout_factor=1, most_memory=999))
    assert decoded == []


@pytest.mark.parametrize("reason", ["timeout", "crashed", "missing"])
def test_a_failure_that_may_be_the_machines_is_tried_again(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch, decoded: list[str], reason: str
):
    working = extract_frames

    def fails_once(video: Path, *arguments: Any) -> Extracted:
        if video.name == Path(VIDEOS[0]).name:
            raise NoFrames(reason, "for now", again=True)
        return working(video, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr("pipeline.extraction.extract.extract_frames", fails_once)
        corpus.extract()
    assert [row.video for row in read_broken(corpus.broken)] == [VIDEOS[0]]
    decoded.clear()

    corpus.extract()
    assert sorted(decoded) == sorted(Path(v).name for v in neighbours(VIDEOS, VIDEOS[0]))
    assert read_broken(corpus.broken) == []


def test_a_file_that_was_never_there_is_not_tried_again(corpus: Corpus, decoded: list[str]):
    (corpus.root / VIDEOS[0]).unlink()
    corpus.extract()
    decoded.clear()

    corpus.extract()
    assert decoded == []


def test_another_ffmpeg_or_format_is_another_key(corpus: Corpus, monkeypatch: pytest.MonkeyPatch):
    def keys(version: str) -> set[str]:
        return {shard.key for shard in plan(corpus.manifest, CONFIG, version)}

    before = keys("9.0")
    assert keys("9.0") == before
    assert not keys("9.1") & before
    monkeypatch.setattr("pipeline.extraction.extract.FORMAT", FORMAT + 1)
    assert not keys("9.0") & before


def test_shards_are_of_about_the_same_size():
    numbers = [shard_number(f"video {number}.mp4", 8) for number in range(8000)]

    assert min(numbers.count(shard) for shard in range(8)) > 900
    assert set(numbers) == set(range(8))


def test_a_run_that_fails_keeps_its_finished_shards(corpus: Corpus, monkeypatch: pytest.MonkeyPatch):
    calls: list[str] = []
    real = extract_frames

    def fails_on_the_sixth(video: Path, *arguments: Any) -> Extracted:
        calls.append(video.name)
        if len(calls) == 6:
            raise KeyboardInterrupt
        return real(video, *arguments)

    corpus.workers = 1
    monkeypatch.setattr("pipeline.extraction.extract.extract_frames", fails_on_the_sixth)
    with pytest.raises(KeyboardInterrupt):
        corpus.extract()

    assert not corpus.out.exists()
    assert not corpus.broken.exists()
    assert whole(corpus.store)
    assert len(list(corpus.store.glob("*.tar"))) == CONFIG.shards - 1

    corpus.extract()
    assert set(calls[6:]) == neighbours(VIDEOS, calls[5])  # the shard that had not been finished, and no other
    assert len(calls[6:]) < 5


def test_a_run_that_fails_leaves_the_old_out(corpus: Corpus, monkeypatch: pytest.MonkeyPatch, other_video: Path):
    corpus.extract()
    before = contents(corpus.out)

    def fail(*arguments: Any) -> None:
        raise KeyboardInterrupt

    shutil.copyfile(other_video, corpus.root / "c.mp4")
    monkeypatch.setattr("pipeline.extraction.extract.extract_frames", fail)
    with pytest.raises(KeyboardInterrupt):
        corpus.extract()

    assert contents(corpus.out) == before
    assert sorted(path.name for path in corpus.home.iterdir()) == [
        *("broken.SHA256SUMS", "broken.tsv", "frames", "videos", "work")
    ]


def killed_on_the_sixth(home: Path) -> None:
    """Extract a corpus until the process ends, with a video's frames on the disk and some of its shard in the tar."""
    corpus, real, calls = Corpus(home, list(VIDEOS), workers=1), extract.extract_frames, []

    def killed(video: Path, folder: Path, *rest: Any) -> Extracted:
        calls.append(video)
        result = real(video, folder, *rest)
        if len(calls) == 6:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    extract.extract_frames = killed
    corpus.extract()


@pytest.mark.slow
def test_a_killed_run_goes_on_where_it_was(corpus: Corpus, decoded: list[str], tmp_path: Path):
    assert forks.status(killed_on_the_sixth, corpus.home) == -signal.SIGKILL
    assert not corpus.out.exists()
    assert not whole(corpus.store)  # what the sixth video left
    kept = {path.stem: path.stat().st_ino for path in corpus.store.glob("*.json")}

    corpus.extract()

    assert kept
    assert {key: corpus.store.joinpath(f"{key}.json").stat().st_ino for key in kept} == kept
    assert 0 < len(decoded) < len(VIDEOS)
    assert whole(corpus.store)
    never_killed = Corpus(tmp_path / "clean", list(VIDEOS))
    shutil.copytree(corpus.root, never_killed.root)
    never_killed.extract()
    assert contents(corpus.out) == contents(never_killed.out)


@pytest.mark.parametrize("damage", ["cut", "changed", "gone", "without its record", "with a cut record"])
def test_a_damaged_shard_is_made_again(corpus: Corpus, decoded: list[str], damage: str):
    corpus.extract()
    before = contents(corpus.out)
    decoded.clear()
    tar = max(corpus.store.glob("*.tar"), key=lambda path: path.stat().st_size)  # one of them has no video
    content = tar.read_bytes()
    record = tar.with_suffix(".json")
    match damage:
        case "cut":
            os.truncate(tar, len(content) // 2)
        case "changed":
            tar.write_bytes(content[:-3000] + b"\1" + content[-2999:])
        case "gone":
            tar.unlink()
        case "without its record":
            record.unlink()
        case "with a cut record":
            os.truncate(record, 40)

    corpus.extract()

    assert 0 < len(decoded) < len(VIDEOS)
    assert contents(corpus.out) == before


def test_broken_videos_are_in_the_ledger_with_split_and_reason(
    corpus: Corpus, clips: Path, caplog: pytest.LogCaptureFixture
):
    (corpus.root / "b.mp4").write_bytes(b"This is not a video.")
    (corpus.root / "c.mp4").write_bytes(b"")
    (corpus.root / "d.mp4").unlink()
    shutil.copyfile(clips / "sound_only.mp4", corpus.root / "ä ö" / "e.mp4")

    with caplog.at_level(logging.WARNING):
        corpus.extract()

    broken = read_broken(corpus.broken)
    assert [row[:4] for row in broken] == [  # in the order of the manifest
        ("b.mp4", "val", "b.mp4", "not_a_video"),
        ("c.mp4", "test", "c.mp4", "empty"),
        ("d.mp4", "train", "d.mp4", "missing"),
        ("ä ö/e.mp4", "val", "ä ö/e.mp4", "no_video_stream"),
    ]
    assert all(row.words for row in broken)
    index = tsv.read(corpus.out / "index.tsv", frame_index.COLUMNS, "extract")
    assert {*index["video"]} | {row.video for row in broken} == {*VIDEOS}
    assert len(index) == 4
    for row in broken:
        assert f"broken: {row.video}: {row.reason}: {row.words}" in caplog.text


def test_a_mended_video_leaves_the_ledger(corpus: Corpus):
    (corpus.root / "b.mp4").write_bytes(b"This is not a video.")
    corpus.extract()
    assert [row.video for row in read_broken(corpus.broken)] == ["b.mp4"]

    shutil.copyfile(corpus.root / "a.mp4", corpus.root / "b.mp4")
    corpus.extract()
    assert read_broken(corpus.broken) == []
    assert corpus.shard_of("b.mp4")


def test_the_ledger_is_written_where_nothing_had_to_be_made(corpus: Corpus, decoded: list[str]):
    (corpus.root / "b.mp4").write_bytes(b"This is not a video.")
    corpus.extract()
    before = corpus.broken.read_bytes()
    corpus.broken.unlink()
    decoded.clear()

    corpus.extract()
    assert corpus.broken.read_bytes() == before
    assert decoded == []


def test_fewer_frames_than_promised_are_noted(corpus: Corpus, clips: Path, caplog: pytest.LogCaptureFixture):
    whole_video = corpus.home / "whole.mp4"
    ffmpeg(["-i", str(clips / "h264.mp4"), "-c", "copy", "-movflags", "+faststart", str(whole_video)])
    content = whole_video.read_bytes()
    (corpus.root / "a.mp4").write_bytes(content[: len(content) * 9 // 10])

    with caplog.at_level(logging.WARNING):
        corpus.extract()

    index = tsv.read(corpus.out / "index.tsv", frame_index.COLUMNS, "extract").set_index("video")
    count, note = index.at["a.mp4", "frames"], index.at["a.mp4", "note"]
    assert 0 < int(count) < 30
    assert index.at["a.mp4", "promised"] == "30"
    assert re.match(rf"\d of \d\d pictures are damaged, {count} of 30 promised frames \| .*partial file", note)
    assert 0 < int(index.at["a.mp4", "damaged"]) < int(index.at["a.mp4", "decoded"]) < 30
    assert f"damaged or short: a.mp4: {note}" in caplog.text
    assert read_broken(corpus.broken) == []


@pytest.mark.parametrize("split", SPLITS)
def test_a_split_whose_videos_are_all_broken_stops_the_stage(corpus: Corpus, split: str):
    for name in corpus.manifest.split(split).videos:
        (corpus.root / name).write_bytes(b"")

    with pytest.raises(UserError, match=rf"No video of the split '{split}' gave a frame \([23] are broken"):
        corpus.extract()
    assert not corpus.out.exists()
    assert not corpus.broken.exists()


def test_a_missing_ffmpeg_stops_before_any_work(corpus: Corpus, decoded: list[str]):
    with pytest.raises(UserError, match="FFmpeg does not run"):
        corpus.extract(binary="/nowhere/ffmpeg")

    assert decoded == []
    assert sorted(path.name for path in corpus.home.iterdir()) == ["videos"]


def test_a_missing_root_stops_before_any_work(corpus: Corpus, decoded: list[str]):
    manifest = corpus.manifest
    machine = tiny.machine(corpus.home / "work")

    with pytest.raises(UserError, match=r"nowhere is no folder. Set dataset.root"):
        extract_corpus(manifest, corpus.home / "nowhere", corpus.out, corpus.broken, CONFIG, machine)
    assert decoded == []


@pytest.mark.slow
def test_files_are_read_as_utf8_whatever_the_language_of_the_machine(corpus: Corpus, clips: Path):
    script = """
import sys, warnings
from pathlib import Path
from tests.extraction import test_extract

corpus = test_extract.Corpus(Path(sys.argv[1]), list(test_extract.VIDEOS))
corpus.manifest
warnings.filterwarnings("error", category=EncodingWarning, module="pipeline")
corpus.extract()
"""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONWARNDEFAULTENCODING": "1"}
    done = subprocess.run(
        [sys.executable, "-c", script, str(corpus.home)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )

    assert done.returncode == 0, done.stderr


def test_the_size_of_a_jpeg_is_read_from_its_header(clips: Path, tmp_path: Path):
    ffmpeg(["-i", str(clips / "upright.mp4"), "-frames:v", "1", str(tmp_path / "a.jpg")])
    jpeg = (tmp_path / "a.jpg").read_bytes()

    assert jpeg_size(jpeg) == (96, 160)
    assert simplejpeg.decode_jpeg(jpeg).shape == (160, 96, 3)
