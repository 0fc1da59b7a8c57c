"""How a folder of clips is annotated, guessed from its files: what `pipeline init` writes into conf/dataset/mine.yaml.

Every guess has a sentence that says what it was made from, and stands in the file, where it can be changed.
"""

import csv
import io
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.core import video_files
from pipeline.core.errors import UserError
from pipeline.core.manifest import SPLITS
from pipeline.core.plural import number_of
from pipeline.datasets import _annotations, _rows, class_folders, folder, lists

log = logging.getLogger(__name__)
SYNONYMS = {
    "path": "path file filename file_name filepath file_path video video_path clip clip_path video_name name",
    "labels": "labels label class classes class_name action actions activity category categories gesture tags tag",
    "split": "split subset partition set",
    "start": "start start_time time_start start_seconds begin",
    "end": "end end_time time_end end_seconds stop",
    "group": "group subject person actor performer participant speaker signer user patient recording session scene",
}
"""What a column holds -> names that people give it, in small letters; the first that is there is taken."""
WORDS = "subject subj person actor performer participant speaker signer user patient recording rec session scene"
PATTERNS = (r"([^/]*_g\d+)_c\d+", *(rf"(?i)(?:^|[/_ -])({word}[_ -]?\d+)(?=[/_. -])" for word in WORDS.split()))
"""Regular expressions of groups in paths: v_Name_g01_c02.avi as in UCF101, subject01_3.mp4, person 7/3.mp4."""
TABLES, PLAIN = (".csv", ".tsv"), (".txt", ".lst", ".list")
CLASS_FILES = ("classes.txt", "class_names.txt", "labels.txt", "categories.txt", "label_map.txt")
"""Names of a file of class names beside lists that count them."""
PUBLISHED = {
    "charades": ("Charades_v1_train.csv", "id,"),
    "hmdb51": ("*_test_split1.txt", ""),
    "kinetics": ("*train*.csv", "label,youtube_id,"),
    "moments": ("trainingSet.csv", ""),
    "something": ("something-something-v2-train.json", ""),
    "ucf101": ("classInd.txt", "1 "),
}
"""Public corpora -> how a list is called as it is published, and how it begins."""
LOOKED_AT = 50
"""Number of rows by whose paths a file is recognised as the annotations of a folder."""


@dataclass(frozen=True)
class Layout:
    """What was found out about the annotations of a folder."""

    format: str
    annotations: Path
    why: str
    """What the format was guessed from."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """What a column holds -> its name, where that is another."""
    splits: bool = False
    """Whether the annotations say which video is of which split."""


def guess(root: Path, annotations: Path | None) -> Layout:
    """The layout of the videos in `root`, of which `annotations` may name the file or folder with the labels.

    Raises:
        UserError: nothing says what is to be seen in the videos, or several files seem to; or it is a public corpus as
            it is published, which has settings of its own.
    """
    if annotations is not None:
        found = _layout_of(annotations)
        if found is None:
            raise UserError(
                f"{annotations} is neither a CSV with columns for path and label nor a list `clip.mp4 label`."
            )
        return found
    _refuse_published(root)
    near = list(filter(None, map(_layout_if_readable, _candidates(root))))
    fitting = [found for found in near if _names_videos(found, root)]
    if len(fitting) > 1 and _is_lists(fitting):
        return Layout("lists", fitting[0].annotations.parent, "a list for each split", splits=True)
    if len(fitting) > 1:
        names = ", ".join(str(found.annotations) for found in fitting)
        raise UserError(f"{root}: several files list its videos ({names}). Say which: --annotations FILE.")
    if fitting:
        return fitting[0]
    if any(class_folders.rows_of(root)):
        splits = class_folders.has_splits(root)
        return Layout("class_folders", root, f"one folder a class{', below splits' if splits else ''}", splits=splits)
    videos = len(video_files.inside(root))
    if not videos and not near:
        endings = ", ".join(video_files.SUFFIXES)
        raise UserError(f"{root} has no video and no list of videos (looked for files that end in {endings}).")
    above = f" Where {root.resolve().name!r} is a class, give the folder above, {class_folders.above(root)}."
    others = "".join(
        f" {found.annotations} is such a CSV, but its paths are those of no files in {root}."
        for found in near
        if found.format == "folder"
    )
    raise UserError(
        f"{root} has {number_of(videos, 'video')}, and nothing that says what they show: neither a CSV "
        "with the columns path,label, nor a list `clip.mp4 label`, nor one folder a class. docs/your-data.md has each; "
        f"--annotations FILE names one that lies elsewhere.{above}{others}"
    )


def group_pattern(videos: Sequence[str]) -> str | None:
    """The regular expression of `PATTERNS` that finds a group in every path, and at least three, of several videos."""
    for pattern in PATTERNS:
        found = [re.search(pattern, video) for video in videos]
        groups = {match[1] for match in found if match}
        if all(found) and 3 <= len(groups) <= len(videos) // 2:
            return pattern
    return None


def class_file(layout: Layout) -> Path | None:
    """A file of class names beside lists that count them."""
    if layout.format != "lists":
        return None
    folder_of = layout.annotations if layout.annotations.is_dir() else layout.annotations.parent
    beside = [folder_of / name for name in CLASS_FILES if (folder_of / name).is_file()]
    of_split = lists.list_files(layout.annotations)
    rows = [row for file, split in of_split for row in lists.rows_of(file, split or "test")]
    return beside[0] if beside and beside[0] != layout.annotations and lists.numbered(rows) else None


def _refuse_published(root: Path) -> None:
    """Name the settings of a public corpus that lies in the folder, or one below, as it is published."""
    for name, (pattern, begin) in PUBLISHED.items():
        for file in filter(Path.is_file, sorted([*root.glob(pattern), *root.glob(f"*/{pattern}")])):
            with file.open(encoding="utf-8-sig", errors="replace") as lines:
                if not lines.readline().startswith(begin):
                    continue
            kind = f"{name} or multi_{name}" if name == "moments" else name
            raise UserError(
                f"{root} seems to hold a public corpus as it is published ({file}), which has settings of its own: "
                f"dataset={kind}, with dataset.root and dataset.annotations={file.parent}. docs/your-data.md says what "
                "lies where. --annotations FILE names other labels."
            )


def _candidates(root: Path) -> list[Path]:
    """Files in the folder or beside it that may be annotations."""
    own = root.resolve()
    near = [*sorted(root.iterdir()), *(path for path in sorted(own.parent.iterdir()) if path != own)]
    return [path for path in near if path.suffix.lower() in (*TABLES, *PLAIN) and path.is_file()]


def _layout_if_readable(path: Path) -> Layout | None:
    """The layout of a file that nobody has named, which may be anything; of a table it is said that it is none."""
    try:
        return _layout_of(path)
    except UserError as error:
        if path.suffix.lower() in TABLES:
            log.warning("left alone: %s", error)
        return None


def _layout_of(path: Path) -> Layout | None:
    if path.is_dir():
        return Layout("lists", path, "a folder of lists", splits=True)
    table = _table(path)
    columns = _columns(table)
    if {"path", "labels"} <= columns.keys():
        named = {kind: name for kind, name in columns.items() if name not in folder.NAMES[kind]}
        listed = ", ".join(columns.values())
        return Layout("folder", path, f"a table with the columns {listed}", named, splits="split" in columns)
    try:
        rows = list(lists.rows_of(path, "test"))
    except UserError:
        return None
    first, *others = [Path(row.video).suffix.lower() in video_files.SUFFIXES for row in rows[:LOOKED_AT]] or [False]
    if not first and any(others):
        raise UserError(
            f"{path}: the columns {', '.join(map(repr, table))} are not known to hold path and label. Name those that "
            "do so in the first line: path,label."
        )
    return Layout("lists", path, "a list `clip.mp4 label`") if any(row.labels for row in rows) else None


def _table(path: Path) -> dict[str, list[str]]:
    """Name of a column in small letters -> its cells; of a file that is no table, whatever comes of it."""
    text = _annotations.text_of(path, "--annotations")
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=folder.delimiter(text.partition("\n")[0]))
    try:
        header, *rows = list(lines) or [[]]
    except csv.Error:
        return {}
    return {folder.tidy(name): [row[n] for row in rows if n < len(row)] for n, name in enumerate(header)}


def _columns(table: dict[str, list[str]]) -> dict[str, str]:
    """What a column holds -> its name in small letters, for the columns that are known by a synonym."""
    names = {re.sub(r"[ _-]?id$", "", name) or name: name for name in reversed(table)} | {name: name for name in table}
    found = {kind: [names[word] for word in words.split() if word in names] for kind, words in SYNONYMS.items()}
    columns = {kind: matches[0] for kind, matches in found.items() if matches}
    cells = {cell.strip().lower() for cell in table[columns["split"]]} if "split" in columns else set()
    if columns.get("split", "split") != "split" and not cells <= set(_rows.LIKE_SPLITS):
        del columns["split"]
    return columns


def _names_videos(layout: Layout, root: Path) -> bool:
    """Whether half of the first paths are those of files in the folder."""
    if layout.format == "lists":
        paths = [row.video for row in lists.rows_of(layout.annotations, "test")]
    else:
        paths = _table(layout.annotations)[layout.columns.get("path", "path")]
    some = [path.replace("\\", "/") for path in paths[:LOOKED_AT] if path and not Path(path).is_absolute()]
    return bool(some) and 2 * sum((root / path).is_file() for path in some) >= len(some)


def _is_lists(found: Sequence[Layout]) -> bool:
    """Whether the files are lists of different splits in one folder."""
    names = [[split for split in SPLITS if split in layout.annotations.stem.lower()] for layout in found]
    flat = [split for own in names for split in own]
    one_folder = len({layout.annotations.parent for layout in found}) == 1
    return (
        one_folder and all(names) and len(set(flat)) == len(flat) and {layout.format for layout in found} == {"lists"}
    )
