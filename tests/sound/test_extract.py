"""The sound of a corpus: what is kept, what is listed, and what a second run makes again."""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.clips.sound_store import SoundStore
from pipeline.core import checksums, fingerprints
from pipeline.core.broken_videos import read_broken
from pipeline.core.errors import UserError
from pipeline.core.manifest import Manifest, VideoRecord
from pipeline.core.share import Share
from pipeline.extraction.config import ExtractConfig
from pipeline.sound import extract
from tests.support import tiny
from tests.support.corpus import ffmpeg

CONFIG = ExtractConfig(fps=30, short_side=32, jpeg_qscale=5, timeout_seconds=60, shards=3)
SPLIT = {"a": "train", "b": "train", "c": "val", "d": "test", "mute": "train", "text": "test"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "videos"
    folder.mkdir()
    for number, name in enumerate("abcd"):
        call = ["-f", "lavfi", "-i", f"sine=f={300 + 100 * number}:d=0.3:r=16000", "-c:a", "flac"]
        ffmpeg([*call, str(folder / f"{name}.mkv")])
    ffmpeg(["-f", "lavfi", "-i", "color=s=16x16:d=0.2", str(folder / "mute.mkv")])
    (folder / "text.mkv").write_text("nothing to hear\n" * 50)
    return folder


def manifest(root: Path) -> Manifest:
    rows = [VideoRecord(v, s, f"{v}.mkv", "x", fingerprints.of_file(root / f"{v}.mkv")) for v, s in SPLIT.items()]
    return Manifest.from_records(rows, ["x"])


def run(root: Path, config: ExtractConfig = CONFIG, share: Share | None = None) -> tuple[SoundStore | None, Path]:
    out, ledger = root.parent / "sound", root.parent / "no_sound.tsv"
    machine = tiny.machine(root.parent / "work", workers=2)
    done = extract.extract_sound(manifest(root), root, out, ledger, config, machine, share)
    return SoundStore(out) if done else None, ledger


def test_what_is_heard_is_kept_and_what_is_not_is_listed(root):
    store, ledger = run(root)
    assert store.videos == ["a", "b", "c", "d"]
    for number, name in enumerate("abcd"):
        sound = store.read(name)
        assert len(sound) == 4800
        assert np.abs(np.fft.rfft(sound.astype(float))).argmax() / 0.3 == pytest.approx(300 + 100 * number, abs=4)
    assert [(row.video, row.split, row.reason) for row in read_broken(ledger)] == [
        ("mute", "train", "no_audio"),
        ("text", "test", "not_a_video"),
    ]
    for file in (ledger, *store.root.glob("shard-*")):
        checksums.check(file)
        assert file.name in "".join(listed.read_text() for listed in file.parent.glob("*SHA256SUMS"))


def test_a_second_run_makes_what_has_changed_and_no_more(root, caplog):
    caplog.set_level(logging.INFO)
    before = run(root)[0].content_key()
    assert "3 of 3 shards are to be made" in caplog.text
    caplog.clear()
    assert run(root)[0].content_key() == before
    assert "0 of 3 shards are to be made" in caplog.text
    caplog.clear()
    ffmpeg(["-f", "lavfi", "-i", "sine=f=900:d=0.4:r=16000", "-c:a", "flac", str(root / "b.mkv")])
    store, _ = run(root)
    assert "1 of 3 shards are to be made" in caplog.text
    assert store.samples("b") == 6400
    assert store.content_key() != before


def test_settings_of_frames_make_nothing_again(root, caplog):
    run(root)
    caplog.set_level(logging.INFO)
    run(root, replace(CONFIG, short_side=64, jpeg_qscale=2, timeout_seconds=7))
    assert "0 of 3 shards are to be made" in caplog.text


def test_a_damaged_shard_is_made_again(root, caplog):
    key = run(root)[0].content_key()
    shard = next(file for file in (root.parent / "work/sound").glob("*.pcm") if file.stat().st_size)
    content = bytearray(shard.read_bytes())
    content[-1] ^= 1
    shard.unlink()  # of which the out has a link
    shard.write_bytes(content)
    assert run(root)[0].content_key() == key
    assert "is damaged and is made again" in caplog.text


def test_shares_make_the_same_as_one_run(root):
    assert run(root, share=Share(2, 2))[0] is None
    key = run(root, share=Share(1, 2))[0].content_key()
    whole = root.parent / "whole"
    whole.mkdir()
    root.rename(whole / "videos")
    assert run(whole / "videos")[0].content_key() == key


def test_a_corpus_in_which_nothing_is_heard_is_refused_with_the_way_out(root):
    ffmpeg(["-f", "lavfi", "-i", "color=s=16x16:d=0.2", str(root / "c.mkv")])
    with pytest.raises(UserError, match=r"No video of the split 'val' has sound.*without one"):
        run(root)
    assert not (root.parent / "sound").exists()
