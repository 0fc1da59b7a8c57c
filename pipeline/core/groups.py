"""Groups: videos that belong together, such as all of one person or one recording, so that no split tears them apart.

A file of groups is a tab-separated table with the columns video and group: a row for each video that has a group, and
none but the header where no video has one.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd

from pipeline.core import tsv

COLUMNS = ("video", "group")


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
