"""Shares of a stage: together they have each piece once, and nobody else's word is one."""

import argparse

import pytest

from pipeline.core.share import Share


@pytest.mark.parametrize(("items", "of"), [(0, 1), (1, 3), (16, 16), (17, 4), (5, 1)])
def test_all_shares_together_have_each_item_once(items, of):
    parts = [Share.parse(f"{number}/{of}").part(range(items)) for number in range(1, of + 1)]
    assert sorted(item for part in parts for item in part) == list(range(items))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.parametrize("text", ["0/4", "5/4", "3", "3/", "/4", "-1/4", "3/4/5", "a/b", "1/0", "", "1 /4", "\u0663/4"])
def test_what_is_no_share_is_refused(text):
    with pytest.raises(argparse.ArgumentTypeError, match="the third of sixteen is 3/16"):
        Share.parse(text)
