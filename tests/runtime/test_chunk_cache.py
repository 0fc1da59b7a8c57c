"""Chunks of scores on disk."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from pipeline.core import scratch
from pipeline.core.errors import UserError
from pipeline.runtime.chunk_cache import ChunkCache
from tests.support import damage

VALUES = np.arange(70, dtype=np.float16).reshape(35, 2, 1)


def kept(folder: Path) -> ChunkCache:
    """Three finished chunks, the last of them short."""
    found = ChunkCache(folder / "net-0", videos=35, shape=(2, 1))
    for number in (2, 0, 1):
        found.write(number, VALUES[found.span(number).start : found.span(number).stop])
    return found


def test_chunks_come_back_in_order_and_the_last_may_be_short(tmp_path):
    found = kept(tmp_path)
    assert found.chunks == 3
    assert [found.span(number).start for number in range(3)] == [0, 16, 32]
    np.testing.assert_array_equal(list(found.all()), VALUES)


@pytest.mark.parametrize("there", [0, 1, 15])
def test_an_unfinished_chunk_stands_for_no_other_video(tmp_path, there):
    found = kept(tmp_path)
    found.write(1, VALUES[16 : 16 + there])
    with pytest.raises(UserError, match=rf"000001.npy holds {there} videos, not 16.*machine.scratch"):
        list(found.all())


def test_deleting_leaves_nothing(tmp_path):
    found = kept(tmp_path)
    with scratch.lock(found.lock):
        found.delete()
    assert list(tmp_path.iterdir()) == []


def test_all_scores_take_the_memory_of_a_chunk(tmp_path):
    found = ChunkCache(tmp_path / "net-0", videos=160, shape=(100, 1000))
    for number in range(found.chunks):
        found.write(number, np.full((16, 100, 1000), number, np.float16))
    tracemalloc.start()
    assert [int(scores[0, 0]) for scores in found.all()] == [number for number in range(10) for _ in range(16)]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 * 16 * 100 * 1000 * 2, "of ten chunks"


@pytest.mark.parametrize("offset", [0, 8, 20, 128, 200, -1])
def test_a_chunk_of_which_a_bit_has_flipped_is_made_again(tmp_path, caplog, offset):
    found = ChunkCache(tmp_path / "net-0", videos=16, shape=(2, 3))
    found.write(0, np.ones((16, 2, 3), np.float16))
    assert found.count(0) == 16
    (path,) = found.folder.iterdir()
    damage.flip(path, offset % path.stat().st_size)
    assert found.count(0) == 0
    assert "is damaged, and is made again" in caplog.text
