"""The manifest: a row for each video (id, split, path, labels, fingerprint, span), and the list of classes.

It is a tab-separated file that any tool can read. A million rows load in seconds, since every check here is vectorised.
It is validated when it is made and again when it is read.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from pipeline.core import checksums, files, groups, labels, params, segments, tsv
from pipeline.core.errors import UserError
from pipeline.core.names import FORMULA, LONGEST_ID, UNSAFE, check_classes
from pipeline.core.remote_folder import has_secret

SPLITS = ("train", "val", "test")
COLUMNS = ("path", "labels", "split", "group", "start", "end")
"""What the columns of a CSV of annotations hold."""
Flip = bool | Literal["auto"] | tuple[tuple[str, str], ...]
"""What `dataset.flip` may be; the last are pairs of classes (clips/flips.py)."""


@dataclass(frozen=True)
class DatasetConfig:
    """Section `dataset` of params.yaml: where a corpus lies and how it is read."""

    format: str
    """Name of the file in pipeline/datasets that reads annotations of this kind."""
    root: str
    """Folder of the videos; absolute, or relative to the root of the project. Or a URL that fsspec knows
    (s3://bucket/videos), from which they are fetched; keys come from the environment, and no URL may hold one."""
    annotations: str
    """File with the labels of the videos; with `format: class_folders` the root again, with `lists` a file, or a folder
    with one for each split, and for a corpus as it is published the folder of its lists."""
    generated: tuple[str, ...]
    """["demo"] to render the built-in corpus first; empty for a corpus of your own."""
    after: str
    """Path that DVC must have made before stage `index` runs: `data/demo` for the built-in corpus. For any other, a
    folder that is always there, as DVC takes no empty dependency."""
    classes: str | None
    """File with one class name on each line; null takes that which a published corpus has beside its lists, and
    otherwise all labels that occur, sorted."""
    val_share: float
    """Share of the videos that become val, above 0 and below 1; used where the annotations have no split, and in each
    fold for the videos that it does not hold out."""
    test_share: float
    """Share of the videos that become test, above 0 and below 1; used where the annotations have no split."""
    split_seed: int
    """Seed of the random split, used where the annotations have none; and of the folds."""
    folds: int = 0
    """Parts of a cross-validation of all labelled videos, 2 to 10, besides the split of the corpus; 0: none."""
    unlabelled: Literal["refuse", "negative"] = "refuse"
    """What a video without a label is outside of test: a mistake; or, with `negative`, one that shows none of the
    classes, from which a network learns just that. A test in which no video has a label is not scored, and otherwise
    its videos without one are negative too."""
    test_split: Literal["test", "val"] = "test"
    """Which split of the annotations is the test; val where a corpus' test has no public labels, and val is then taken
    from train."""
    split_number: int = 1
    """Which of the three published splits is read, with `format: ucf101` and `hmdb51`: 1, 2 or 3."""
    window: float | None = None
    """Seconds of the windows into which each clip is cut, with `format: charades`, to learn when an action occurs: the
    windows are the videos, each with the labels of all actions that are seen in it; null: whole clips. 0.1 or more."""
    categories: str | None = None
    """CSV with a line `class,category` for each class, as HVU has it; a video with labels, but none of a category, was
    not annotated for that, so nobody knows whether it shows a class of it. null: what is not named is absent."""
    columns: dict[str, str] = field(default_factory=dict)
    """Names of the CSV's columns where they are others than path, labels, split, group, start and end, as {group:
    subject}."""
    group_pattern: str | None = None
    """Regular expression that finds in the path of a video its group (person, recording), which no split that is made
    tears apart: what its last pair of brackets holds, or else all of it. null where paths say nothing of groups."""
    task: Literal["auto", "single_label", "multi_label"] = "auto"
    """Whether each video has one label (cross-entropy, softmax, top-1 accuracy) or several (BCE, sigmoid, sample mAP);
    auto: single_label where every labelled video has exactly one."""
    doubles: Literal["keep", "drop", "refuse"] = "keep"
    """What becomes of files with the same bytes, which data/doubles.tsv lists: keep all; drop all but one of each set
    (never a video of a test that the annotations name); or refuse the corpus. A split that is made tears none apart."""
    flip: Flip = "auto"
    """Whether half of the training clips of every network are mirrored (a probe sees each clip once, as it is): true,
    false; auto, which is true unless names of classes are about sides ("turn left"); or pairs of classes that a mirror
    swaps: [[turn left, turn right], ...]."""

    def __post_init__(self) -> None:
        possible = self.val_share > 0 and self.test_share > 0 and self.val_share + self.test_share < 1
        params.require(
            (not has_secret(self.root), "root must be a URL without password or token (docs/your-data.md)"),
            (possible, "val_share and test_share must be positive and leave something for train"),
            (self.split_seed >= 0, "split_seed must not be negative"),
            (self.folds == 0 or 2 <= self.folds <= 10, "folds must be 0, for none, or 2 to 10"),
            (1 <= self.split_number <= 3, "split_number must be 1, 2 or 3"),
            (self.window is None or self.window >= 0.1, "window must be at least 0.1 seconds, or null"),
            (self.window is None or self.format == "charades", "window is for format: charades alone"),
            (set(self.columns) <= set(COLUMNS), f"columns can name {', '.join(COLUMNS)}, not {list(self.columns)}"),
            (_is_pattern(self.group_pattern), f"group_pattern {self.group_pattern!r} is no regular expression"),
            (self.generated in ((), ("demo",)), "generated is [demo] for the built-in corpus, and [] for any other"),
        )


def _is_pattern(text: str | None) -> bool:
    try:
        re.compile(text or "")
    except re.error:
        return False
    return True


class VideoRecord(NamedTuple):
    """One row of the manifest."""

    video: str
    """Unique id, safe as a key and as a relative path."""
    split: str
    """One of `SPLITS`."""
    path: str
    """Path of the video file inside the root of the corpus, with forward slashes."""
    labels: str
    """Names of its classes joined by ";", or `NO_CLASS`; may be empty in the test split alone; `labels.py` reads it.
    A name behind `UNKNOWN` is of a class of which nobody knows whether the video shows it."""
    fingerprint: str = ""
    """Text that changes when the video file changes (fingerprints.py); empty until stage `index` looks at the file."""
    start: float | None = None
    """Seconds at which a segment of the file begins (segments.py); None: its begin."""
    end: float | None = None
    """Seconds at which it ends; None: the end of the file."""


@dataclass(frozen=True)
class Manifest:
    """All videos of a corpus, in a fixed order, and its class names."""

    table: pd.DataFrame
    """A row for each video; the columns are the fields of VideoRecord, all strings; start and end only where a row has
    one."""
    classes: tuple[str, ...]
    groups: Mapping[str, str] = field(default_factory=dict)
    """The group (person, recording) of each video that has one, by its id: videos that no split may tear apart."""
    drawn: tuple[str, ...] = ()
    """The splits that a seed dealt videos to, as the annotations do not give them; empty where the manifest is read."""

    @classmethod
    def from_records(
        cls,
        records: Iterable[VideoRecord],
        classes: Sequence[str],
        where: str = "the corpus",
        groups: Mapping[str, str] | None = None,
    ) -> "Manifest":
        """Validate records and class names; `where` names their origin in messages.

        Raises:
            UserError: a duplicate or unsafe id, an unknown split or label, a path that leaves the root, a class
                without a positive in train, an empty split.
        """
        table = pd.DataFrame(list(records), columns=list(VideoRecord._fields), dtype=str)
        return cls(segments.texts(table), tuple(classes), groups or {}).checked(where)

    @classmethod
    def read(cls, manifest: Path, classes: Path, of_groups: Path | None = None) -> "Manifest":
        """Read the files that stage `index` wrote; without that `of_groups`, the manifest has no groups.

        Raises:
            UserError: a file is missing or damaged, or fails a check of `from_records`.
        """
        if not classes.is_file():
            raise UserError(f"{classes} does not exist. `dvc repro index` makes it.")
        checksums.check(classes)
        table = tsv.read(manifest, segments.columns(manifest, VideoRecord._fields), stage="index")
        names = tuple(classes.read_text(encoding="utf-8").splitlines())
        return cls(table, names, groups.read(of_groups) if of_groups else {}).checked(str(manifest))

    def checked(self, where: str) -> "Manifest":
        """The same manifest, if it passes the checks of `from_records`; `where` names its origin in messages."""
        _validate(self, where)
        return self

    def write(self, manifest: Path, classes: Path) -> None:
        """Write both files, each all or nothing."""
        tsv.write(manifest, self.table)
        files.write_text(classes, "".join(f"{name}\n" for name in self.classes))

    def __len__(self) -> int:
        """The number of videos."""
        return len(self.table)

    def split(self, name: str) -> "Manifest":
        """The videos of one split, in the order of the manifest."""
        return replace(self, table=self.table[self.table["split"] == name].reset_index(drop=True))

    def without(self, broken: Iterable[str]) -> "Manifest":
        """The videos that are not in `broken`, in the order of the manifest."""
        keep = ~self.table["video"].isin(set(broken))
        return replace(self, table=self.table[keep].reset_index(drop=True))

    @property
    def videos(self) -> list[str]:
        """The ids, in the order of the manifest."""
        ids: list[str] = self.table["video"].tolist()
        return ids

    def targets(self) -> np.ndarray:
        """Many-hot labels, -1 where one is not known: int8 (V, C), in the order of `videos` and `classes`."""
        return labels.many_hot(self.table["labels"], self.classes)

    def label_pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """Row numbers and class numbers of all labels, int (L,) each; -1 where no class has the name of the label."""
        return labels.pairs(self.table["labels"], self.classes)

    def unknown_pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """The same of all labels that are not known: each a video, and a class that it may show or not."""
        return labels.unknown_pairs(self.table["labels"], self.classes)


def _validate(manifest: Manifest, where: str) -> None:
    table, classes = manifest.table, manifest.classes
    check_classes(classes, where)
    _refuse(table, table["video"].duplicated(), where, "the id {video!r} occurs twice; give each video one row")
    encoded = table["video"].str.encode("utf-8").str.len()
    unsafe = table["video"].str.contains(UNSAFE) | (encoded > LONGEST_ID) | (encoded == 0)
    _refuse(table, unsafe, where, f"the id {{video!r}} is empty, longer than {LONGEST_ID} bytes or unprintable")
    formula = table["video"].str.match(FORMULA)
    _refuse(table, formula, where, "the id {video!r} is a formula, which a spreadsheet would run; rename the file")
    unknown = ~table["split"].isin(SPLITS)
    _refuse(table, unknown, where, f"{{video}}: the split {{split!r}} is none of {', '.join(SPLITS)}")
    outside = table["path"].str.match(r"^/|^[A-Za-z]:|(?:.*/)?\.\.(?:/|$)")
    _refuse(table, outside, where, "{video}: the path {path!r} leaves the corpus' root")
    _refuse(table, segments.wrong(table), where, "{video}: {start!r} to {end!r} s is no span of a file")
    _validate_labels(manifest, where)
    for split in SPLITS:
        if not (table["split"] == split).any():
            val_for_it = " Or test on val: dataset.test_split: val." if split == "test" else ""
            raise UserError(
                f"{where} has no video in the split {split!r}; it needs all of {', '.join(SPLITS)}. "
                f"Give some rows that split, or drop the split column and a split is made.{val_for_it}"
            )


def _validate_labels(manifest: Manifest, where: str) -> None:
    table = manifest.table
    row, column = manifest.label_pairs()
    _refuse_strange(manifest, row[column < 0], where)
    _validate_unknown(manifest, where)
    unlabelled = table["labels"] == ""
    _refuse(table, unlabelled & (table["split"] != "test"), where, "{video} ({split}) has no label; only test may")
    test = unlabelled[table["split"] == "test"]
    if test.any() and not test.all():
        raise UserError(
            f"{where}: {int(test.sum())} of {len(test)} test videos have no label, e.g. "
            f"{table['video'][test.idxmax()]!r}. Label all of the test split, or none of it."
        )
    in_train = (table["split"] == "train").to_numpy()[row]
    positives = np.bincount(column[in_train], minlength=len(manifest.classes))
    if (positives == 0).any():
        missing = [name for name, n in zip(manifest.classes, positives, strict=True) if n == 0]
        raise UserError(
            f"{where}: no train video is labelled {', '.join(map(repr, missing[:5]))}"
            f"{f' ({len(missing)} classes in all)' if len(missing) > 5 else ''}, so nothing could learn it. "
            "Add such a video to train, or drop the class."
        )


def _refuse_strange(manifest: Manifest, rows: np.ndarray, where: str) -> None:
    """Raise for the first of some rows, which have labels that no class bears."""
    if len(rows):
        first = manifest.table.iloc[rows[0]]
        names = (*labels.hidden(first["labels"]), *labels.shown(first["labels"]))
        strange = [name for name in names if name not in manifest.classes]
        raise UserError(
            f"{where}, line {rows[0] + 2}: {first['video']} has the label {strange[0]!r}, "
            "which no class list knows. Mend the label, or add the class to the file that dataset.classes names."
        )


def _validate_unknown(manifest: Manifest, where: str) -> None:
    row, column = manifest.unknown_pairs()
    _refuse_strange(manifest, row[column < 0], where)
    if len(row):
        found = [np.stack(pairs, axis=1) for pairs in (manifest.label_pairs(), (row, column))]
        pairs, times = np.unique(np.concatenate(found), axis=0, return_counts=True)
        twice = pd.Series(np.isin(np.arange(len(manifest)), pairs[times > 1, 0]))
        _refuse(manifest.table, twice, where, "{video}: a class stands twice among the labels {labels!r}")
        nothing = pd.Series(np.bincount(row, minlength=len(manifest)) == len(manifest.classes))
        _refuse(manifest.table, nothing, where, "{video}: no label is known, so it teaches and tests nothing; drop it")


def _refuse(table: pd.DataFrame, bad: pd.Series, where: str, message: str) -> None:
    """Raise for the first row that is bad, naming its line in the manifest (the header is line 1)."""
    if bad.any():
        position = int(np.flatnonzero(bad.to_numpy())[0])
        fields = table.iloc[position].to_dict()
        count = f" ({int(bad.sum())} such rows)" if bad.sum() > 1 else ""
        raise UserError(f"{where}, line {position + 2}: {message.format(**fields)}{count}.")
