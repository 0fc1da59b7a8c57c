"""Groups: videos that belong together, such as all of one person or one recording, so that no split tears them apart.

A file of groups is a tab-separated table with the columns video and group: a row for each video that has a group, and
none but the header where no video has one.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from pipeline.core import tsv

COLUMNS = ("video", "group")
COPIES = "copies of "
"""What the name of a group begins with that copies of a video make where none of them had a group."""


def write(path: Path, groups: Mapping[str, str]) -> None:
    """Write the group of each video that has one, all or nothing."""
    tsv.write(path, pd.DataFrame(list(groups.items()), columns=list(COLUMNS), dtype=str))


def read(path: Path) -> dict[str, str]:
    """The group of each video that has one, in the order of the manifest.

    Raises:
        UserError: the file is missing or damaged.
    """
    table = tsv.read(path, COLUMNS, stage="index")
    return dict(zip(table["video"], table["group"], strict=True))


def of_each(videos: Iterable[str], groups: Mapping[str, str]) -> list[str] | None:
    """The group of each video, in their order; None where no video has one.

    A video without a group is one by itself, of a name that no group can have, since those have no tab.
    """
    return [groups.get(video, f"\t{video}") for video in videos] if groups else None


def joined(groups: Mapping[str, str], together: Iterable[Sequence[str]]) -> dict[str, str]:
    """Groups of which those are one that share some videos, in the order of `groups` and then of `together`.

    Args:
        groups: the group of each video that has one.
        together: sets of videos that belong together as well, such as copies.
    """
    above: dict[str, str] = {}
    """A group, or a video that has none -> another one that it is one with; those at the top are not in it."""

    def top(key: str) -> str:
        while key in above:
            key = above[key]
        return key

    videos = dict.fromkeys(groups)
    for its in together:
        videos |= dict.fromkeys(its)
        first, *others = dict.fromkeys(top(groups.get(video, f"\t{video}")) for video in its)
        above |= dict.fromkeys(others, first)
    members: dict[str, dict[str, None]] = defaultdict(dict)
    for video in videos:
        key = groups.get(video, f"\t{video}")
        members[top(key)][key] = None
    names = {one: _name(list(keys)) for one, keys in members.items()}
    return {video: names[top(groups.get(video, f"\t{video}"))] for video in videos}


def _name(keys: Sequence[str]) -> str:
    """The name of groups, and of videos without one, that have become one group."""
    named = [key for key in keys if not key.startswith("\t")]
    if not named:
        return f"{COPIES}{keys[0].strip()}"
    return named[0] if len(named) == 1 else f"{named[0]} and {len(named) - 1} more"
