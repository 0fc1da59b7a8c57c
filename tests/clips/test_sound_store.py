"""Sounds come back sample by sample, and damage is an error that names the file."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.clips import sound_store
from pipeline.clips.sound_store import RATE, SoundStore
from pipeline.core import checksums
from pipeline.core.errors import UserError

LENGTHS = {"a": 1, "b": RATE, "c": 2 * RATE + 5}
SOUNDS = {name: np.random.default_rng(n).integers(-32768, 32768, n, np.int16) for name, n in LENGTHS.items()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three sounds in one shard: of a sample, of a second, and of a little more than two."""
    rows, content = [], b""
    for name, sound in SOUNDS.items():
        rows.append((name, "shard-00000", len(content), len(sound)))
        content += sound_store.encode(sound)
    (tmp_path / "shard-00000.pcm").write_bytes(content)
    sound_store.write_index(tmp_path, pd.DataFrame(rows, columns=list(sound_store.COLUMNS)))
    checksums.seal(tmp_path)
    return tmp_path


def test_sounds_come_back(folder):
    store = SoundStore(folder)
    assert store.videos == ["a", "b", "c"]
    assert "a" in store
    assert "d" not in store
    for name, sound in SOUNDS.items():
        assert store.samples(name) == len(sound)
        assert np.array_equal(store.read(name), sound)
        assert store.read(name).dtype == np.int16


@pytest.mark.parametrize(("start", "count"), [(0, 1), (RATE - 1, 2), (RATE, RATE), (2 * RATE + 4, 1), (5, 2 * RATE)])
def test_a_part_is_that_of_the_whole(folder, start, count):
    assert np.array_equal(SoundStore(folder).read("c", start, count), SOUNDS["c"][start : start + count])


@pytest.mark.parametrize(("start", "count"), [(-1, 5), (0, 0), (2 * RATE, 6)])
def test_there_is_nothing_beyond_the_ends(folder, start, count):
    with pytest.raises(IndexError, match="c has samples 0..32004"):
        SoundStore(folder).read("c", start, count)


def test_a_video_without_sound_is_not_silence(folder):
    with pytest.raises(UserError, match=r"no sound of 'd'.*no_sound.tsv says why"):
        SoundStore(folder).read("d")


def test_a_changed_byte_is_noticed_in_its_second_alone(folder):
    shard = folder / "shard-00000.pcm"
    content = bytearray(shard.read_bytes())
    content[-3] ^= 1  # in the third second of c
    shard.write_bytes(content)
    store = SoundStore(folder)
    assert np.array_equal(store.read("c", 0, 2 * RATE), SOUNDS["c"][: 2 * RATE])
    with pytest.raises(UserError, match=r"shard-00000.pcm is damaged \(video 'c': second 2"):
        store.read("c", 0, 2 * RATE + 1)


def test_a_shard_that_is_cut_short_or_gone_is_noticed(folder):
    shard = folder / "shard-00000.pcm"
    shard.write_bytes(shard.read_bytes()[:-2])
    with pytest.raises(UserError, match="cut short"):
        SoundStore(folder).read("c")
    shard.unlink()
    with pytest.raises(UserError, match="missing"):
        SoundStore(folder).read("a")


def test_another_sound_has_another_key(folder):
    before = SoundStore(folder).content_key()
    assert SoundStore(folder).content_key({112}) == before
    (folder / "shard-00000.pcm").write_bytes(b"other")
    checksums.seal(folder)
    assert SoundStore(folder).content_key() != before


def test_a_video_that_gave_no_frame_is_broken_and_not_tested_though_it_has_sound(folder):
    store = SoundStore(folder)
    tested = SoundStore(folder, ["a", "c", "mute"])
    assert tested.videos == ["a", "c"]
    assert [video for video in "abc" if video not in tested] == ["b"]
    assert [name for name in ("a", "b", "c", "mute") if tested.broken(name)] == ["b"]
    assert "b" in store
    assert not store.broken("b")
    assert np.array_equal(tested.read("c", 5, 9), SOUNDS["c"][5:14])
    assert tested.content_key() == store.content_key()
