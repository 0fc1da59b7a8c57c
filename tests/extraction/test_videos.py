"""Remote videos are fetched, a few at a time, each whole or not at all, and give the bytes of those on disk."""

import shutil
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pipeline.core import fingerprints, remote_folder
from pipeline.core.broken_videos import read_broken
from pipeline.core.errors import UserError
from pipeline.core.manifest import SPLITS, Manifest, VideoRecord
from pipeline.core.remote_folder import RemoteFolder
from pipeline.extraction import extract as extraction
from pipeline.extraction.config import ExtractConfig
from pipeline.extraction.extract import extract_corpus
from pipeline.extraction.ffmpeg import extract_frames
from tests.support import tiny, unsteady
from tests.support.stage_process import contents
from tests.support.unsteady import Unsteady

CONFIG = ExtractConfig(fps=30, short_side=32, jpeg_qscale=2, timeout_seconds=60, shards=2)
WHOLE = ("a.mp4", "b.mp4", "c d/grün.mp4", "d.webm", "e.mp4", "f.mp4")
ODD = ("empty.mp4", "text.mp4", "missing.mp4")


@dataclass
class Corpus:
    """Some videos on disk and the same ones behind a URL."""

    home: Path
    root: RemoteFolder = field(init=False)

    def __post_init__(self) -> None:
        self.root = unsteady.folder(self.disk)

    @property
    def disk(self) -> Path:
        return self.home / "videos"

    @property
    def store(self) -> Path:
        return self.home / "work" / "extract"

    def manifest(self, root: Path | RemoteFolder) -> Manifest:
        rows = [VideoRecord(name, SPLITS[n % 3], name, "x") for n, name in enumerate((*WHOLE, *ODD))]
        (self.home / "index").mkdir(exist_ok=True)
        return fingerprints.look(Manifest.from_records(rows, ["x"]), root, self.home / "index", workers=2)

    def extract(self, root: Path | RemoteFolder, to: str = "far", manifest: Manifest | None = None, **on: Any) -> None:
        machine = tiny.machine(self.home / "work", **{"workers": 2} | on)
        (self.home / to).mkdir(exist_ok=True)
        out, broken = self.home / to / "frames", self.home / to / "broken.tsv"
        extract_corpus(manifest or self.manifest(root), root, out, broken, CONFIG, machine)

    def left(self) -> list[str]:
        """What lies in the scratch folder besides finished shards."""
        return [path.name for path in self.store.iterdir() if path.suffix not in (".tar", ".json", ".claim")]


@pytest.fixture
def corpus(clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Corpus:
    monkeypatch.setattr(remote_folder, "WAITS", (0.0, 0.0))
    for name in WHOLE:
        (tmp_path / "videos" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(clips / ("vp9.webm" if name == "d.webm" else "short.mp4"), tmp_path / "videos" / name)
    (tmp_path / "videos/empty.mp4").touch()
    (tmp_path / "videos/text.mp4").write_text("no video")
    return Corpus(tmp_path)


def test_remote_videos_give_the_bytes_of_those_on_disk(corpus: Corpus):
    corpus.extract(corpus.disk, "near")
    shutil.rmtree(corpus.store)
    Unsteady.calls.clear()
    corpus.extract(corpus.root, "far")

    assert contents(corpus.home / "far") == contents(corpus.home / "near")
    assert {broken.video for broken in read_broken(corpus.home / "far/broken.tsv")} == set(ODD)
    fetched = [call for call in Unsteady.calls if call.startswith("fetch")]
    assert sorted(fetched) == sorted(f"fetch /bucket/videos/{name}" for name in (*WHOLE, *ODD[:2]))
    assert not corpus.left()


def test_shards_from_disk_are_taken_for_the_same_videos_elsewhere(corpus: Corpus):
    corpus.extract(corpus.disk, "near")
    Unsteady.calls.clear()
    corpus.extract(corpus.root, "far")
    assert not [call for call in Unsteady.calls if call.startswith("fetch")]
    assert contents(corpus.home / "far") == contents(corpus.home / "near")


def test_no_more_than_the_limit_is_on_disk_at_once(corpus: Corpus, monkeypatch: pytest.MonkeyPatch):
    corpus.extract(corpus.disk, "near")
    shutil.rmtree(corpus.store)
    sizes = {name: (corpus.disk / name).stat().st_size for name in WHOLE}
    limit = max(sizes.values()) + min(sizes.values())  # any two small ones, and no three of the larger
    seen, real, lock = [], RemoteFolder.fetch, threading.Lock()
    under_way: dict[Path, int] = {}

    def fetch(self: RemoteFolder, path: str, size: int, copy: Path) -> None:
        with lock:  # what is being fetched counts as a whole
            under_way[copy] = size
            seen.append(sum(size for copy, size in under_way.items()))
        real(self, path, size, copy)

    def extracted(video: Path, *arguments: Any) -> Any:
        try:
            return extract_frames(video, *arguments)
        finally:
            assert video.is_file()
            with lock:
                del under_way[video]

    monkeypatch.setattr(RemoteFolder, "fetch", fetch)
    monkeypatch.setattr(extraction, "extract_frames", extracted)
    corpus.extract(corpus.root, "far", scratch_gb=limit / 1e9, workers=4)

    assert max(sizes.values()) < max(seen) <= limit
    assert contents(corpus.home / "far") == contents(corpus.home / "near")


def test_the_next_video_is_fetched_while_one_is_extracted(corpus: Corpus, monkeypatch: pytest.MonkeyPatch):
    """One worker, and so one FFmpeg at a time, which here waits for the next fetch to end."""
    second, busy, fetched = threading.Event(), threading.Lock(), []
    real = RemoteFolder.fetch

    def fetch(self: RemoteFolder, *arguments: Any) -> None:
        real(self, *arguments)
        fetched.append(arguments[0])
        if len(fetched) == 2:
            second.set()

    def extracted(*arguments: Any) -> Any:
        assert second.wait(60)
        assert busy.acquire(blocking=False), "two at once"
        try:
            return extract_frames(*arguments)
        finally:
            busy.release()

    monkeypatch.setattr(RemoteFolder, "fetch", fetch)
    monkeypatch.setattr(extraction, "extract_frames", extracted)
    corpus.extract(corpus.root, workers=1)
    assert sorted(fetched) == sorted((*WHOLE, *ODD[:2]))


def test_a_video_beyond_the_limit_is_refused_before_anything_is_fetched(corpus: Corpus):
    manifest = corpus.manifest(corpus.root)
    Unsteady.calls.clear()
    with pytest.raises(
        UserError, match=r"unsteady://bucket/videos/.* GB, and machine.scratch_gb lets 1e-06 be fetched"
    ):
        corpus.extract(corpus.root, manifest=manifest, scratch_gb=1e-6)
    assert not Unsteady.calls
    with pytest.raises(ValueError, match="scratch_gb must be above 0"):
        tiny.machine(corpus.home, scratch_gb=0.0)


def test_half_of_a_video_is_fetched_again_and_never_extracted(corpus: Corpus):
    corpus.extract(corpus.disk, "near")
    shutil.rmtree(corpus.store)
    manifest = corpus.manifest(corpus.root)
    Unsteady.errors[:] = ["half", ConnectionError("cut")]  # a third might fall to the same video
    corpus.extract(corpus.root, manifest=manifest)
    assert contents(corpus.home / "far") == contents(corpus.home / "near")


def test_a_network_that_stays_away_is_an_error_after_which_the_same_command_goes_on(corpus: Corpus):
    corpus.extract(corpus.disk, "near")
    shutil.rmtree(corpus.store)
    manifest = corpus.manifest(corpus.root)
    Unsteady.errors[:] = [ConnectionError("cut")] * 1000
    with pytest.raises(UserError, match="did not come, 3 times"):
        corpus.extract(corpus.root, manifest=manifest)
    assert not list((corpus.home / "far").iterdir())
    assert not list(corpus.store.glob("*.json"))
    Unsteady.errors.clear()
    corpus.extract(corpus.root, manifest=manifest)
    assert contents(corpus.home / "far") == contents(corpus.home / "near")


def test_a_video_that_was_replaced_since_the_index_is_no_longer_that_of_the_manifest(corpus: Corpus):
    manifest = corpus.manifest(corpus.root)
    content = bytearray((corpus.disk / "e.mp4").read_bytes())
    content[-1] ^= 1
    unsteady.put("e.mp4", bytes(content))
    with pytest.raises(UserError, match=r"videos/e.mp4 was replaced after stage `index` had looked at it. `dvc repro`"):
        corpus.extract(corpus.root, manifest=manifest)
    corpus.extract(RemoteFolder(corpus.root.url))


def test_a_video_that_went_after_the_index_is_missing(corpus: Corpus):
    manifest = corpus.manifest(corpus.root)
    corpus.root.opened()[0].rm_file("/bucket/videos/e.mp4")
    corpus.extract(corpus.root, manifest=manifest)
    broken = {broken.video: broken.reason for broken in read_broken(corpus.home / "far/broken.tsv")}
    assert broken["e.mp4"] == "missing"


def test_a_folder_that_is_gone_is_no_list_of_missing_videos(corpus: Corpus):
    manifest = corpus.manifest(corpus.root)
    unsteady.folder()
    with pytest.raises(UserError, match="unsteady://bucket/videos is no folder"):
        corpus.extract(corpus.root, manifest=manifest)
