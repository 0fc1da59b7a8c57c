"""Blocks of scores on disk, and the lock that keeps two runs apart."""

import numpy as np

from pipeline import blocks
from pipeline.blocks import Blocks


def test_blocks_come_back_in_order_and_the_last_may_be_short(tmp_path):
    kept = Blocks(tmp_path / "net-0", videos=35, shape=(1, 1))
    values = np.arange(35, dtype=np.float16).reshape(35, 1, 1)
    assert len(kept) == 3
    assert [kept.span(number).start for number in range(3)] == [0, 16, 32]
    for number in (2, 0, 1):
        kept.write(number, values[kept.span(number).start : kept.span(number).stop])
    np.testing.assert_array_equal(kept.all(), values)


def test_a_lock_is_waited_for_or_not(tmp_path):
    with blocks.hold(tmp_path / "net-0", wait=True) as first, blocks.hold(tmp_path / "net-0", wait=False) as second:
        assert (first, second) == (True, False)
    with blocks.hold(tmp_path / "net-0", wait=False) as later:
        assert later
