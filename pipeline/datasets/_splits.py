"""Splits that are made: of a corpus whose annotations have none, or train and test alone.

They are drawn by `dataset.split_seed`. Every label is spread over them in proportion, and no group is torn apart. They
stand in data/manifest.tsv, from where they can be copied into the annotations to keep them when videos are added.
"""

import logging
from collections.abc import Mapping, Sequence

from pipeline.core import groups
from pipeline.core.errors import UserError
from pipeline.core.manifest import SPLITS, DatasetConfig
from pipeline.core.names import LABEL_SEPARATOR
from pipeline.core.plural import number_of
from pipeline.core.stratify import stratified

log = logging.getLogger(__name__)


def to_draw(config: DatasetConfig, given: Sequence[str]) -> tuple[str, ...]:
    """The splits that videos are dealt to: all, where none is given; train and val, where val alone lacks; or none."""
    if not any(given):
        log.info("%s has no splits: split by dataset.split_seed %d", config.annotations, config.split_seed)
        return SPLITS
    if "val" not in given and {"train", "test"} <= set(given):
        log.info("%s has no val: taken from train by dataset.split_seed %d", config.annotations, config.split_seed)
        return SPLITS[:2]
    return ()


def draw(
    config: DatasetConfig,
    videos: Sequence[str],
    labels: Sequence[tuple[str, ...]],
    given: Sequence[str],
    of_video: Mapping[str, str],
    drawn: Sequence[str],
) -> list[str]:
    """The split of each video: a seeded one where the given one is empty or among those that are `drawn`.

    Args:
        config: the seed, and the shares of val and test.
        labels: names of the classes of each video.
        of_video: the group of each video that has one.

    Raises:
        UserError: there are too few videos or groups to give each split one.
    """
    splits, val, test = list(given), config.val_share, config.test_share
    rows = [row for row, split in enumerate(given) if drawn and split in ("", *drawn)]
    if not rows:
        return splits
    shares = (1 - val - test, val, test) if len(drawn) == len(SPLITS) else (1 - val, val)
    ids, names = [videos[row] for row in rows], [labels[row] for row in rows]
    bound = groups.of_each(ids, {video: of_video[video] for video in ids if video in of_video})
    for row, part in zip(rows, stratified(names, shares, config.split_seed, bound), strict=True):
        splits[row] = drawn[part]
    if lacking := [split for split in drawn if split not in splits]:
        raise UserError(_too_few(config, ids, names, bound, lacking[0]))
    return splits


def _too_few(
    config: DatasetConfig,
    videos: Sequence[str],
    labels: Sequence[tuple[str, ...]],
    bound: Sequence[str] | None,
    split: str,
) -> str:
    """What is wrong with videos that cannot be dealt so that each split has one; `bound` is the group of each."""
    classes = number_of(len({name for its in labels for name in its}), "class", "classes")
    of_groups = f" in {number_of(len(set(bound)), 'group')}" if bound else ""
    has = f"{videos[0]!r} has {' and '.join(map(repr, labels[0]))}"
    separated = f"Labels are separated by {LABEL_SEPARATOR!r} ({has}). " if config.format == "folder" else ""
    return (
        f"{config.annotations}: {number_of(len(videos), 'video')}{of_groups} of {classes} cannot be split so that "
        f"{split} has one. {separated}Bring more videos, or name the splits in the annotations."
    )
