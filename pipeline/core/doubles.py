"""Doubles: videos whose files have the same bytes, under whatever names; links to one file count as well.

data/doubles.tsv lists them, a row a video, those of a set together. Files of equal fingerprint may be the same, and
only those are read as a whole, so a corpus without doubles costs nothing. Missing and empty files are nobody's double.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.core import files, fingerprints, tsv
from pipeline.core.fingerprints import FAULTS
from pipeline.core.labels import hidden, shown
from pipeline.core.manifest import Manifest
from pipeline.core.remote_folder import RemoteFile, RemoteFolder
from pipeline.core.segments import COLUMNS as SPAN
from pipeline.core.video_files import MISSING

COLUMNS = ("set", "video", "split", "labels", "labels_differ", "dropped")
"""Columns of data/doubles.tsv. `set` is a number from 1, `split` is empty where a video was dropped before a split was
made, and `labels_differ` says yes where videos of the set bear different labels, of which some must be wrong."""
MEMORY = "contents.tsv"
"""Name of the file in the scratch folder that has the hash of each file that was read as a whole."""
YES, NO = "yes", "no"
PIECE = 1 << 23
"""Number of bytes of a remote file that are asked for at once."""


def find(corpus: Manifest, root: Path | RemoteFolder, scratch: Path, workers: int) -> np.ndarray:
    """The number of the set of copies that each video belongs to, int (V,), from 0; -1 where its file has no copy.

    Args:
        corpus: with fingerprints.
        root: folder of the videos.
        scratch: folder for what is remembered of the files until the next time.
        workers: number of files that are read side by side.
    """
    prints, paths = corpus.table["fingerprint"], corpus.table["path"]
    alike = corpus.table[~paths.duplicated() & ~prints.isin(FAULTS) & ~prints.str.startswith("0-")]
    alike = alike[alike["fingerprint"].duplicated(keep=False)]
    contents = pd.Series(_contents(alike, root, scratch, workers), index=alike["path"].tolist(), dtype=object)
    contents = contents[contents.duplicated(keep=False) & ~contents.isin(FAULTS)]
    sets = np.full(len(paths), -1)
    within = np.flatnonzero(paths.isin(contents.index))
    sets[within] = pd.factorize(paths.iloc[within].map(contents))[0]
    return sets


def of_segments(corpus: Manifest, sets: np.ndarray) -> np.ndarray:
    """The sets of `find` as far as they show the same: of files with segments, those of the same span alone."""
    if SPAN[0] not in corpus.table:
        return sets
    spans = corpus.table[[*SPAN, "path"]].assign(set=sets)[sets >= 0]
    same = spans.groupby(["set", *SPAN], sort=False)
    found = np.full(len(sets), -1)
    found[sets >= 0] = np.where(same["path"].transform("nunique") > 1, same.ngroup(), -1)
    found[found >= 0] = pd.factorize(found[found >= 0])[0]
    return found


def table(corpus: Manifest, sets: np.ndarray, kept: np.ndarray) -> pd.DataFrame:
    """The rows of data/doubles.tsv, by set; `sets` is what `find` gave, and `kept` bool (V,)."""
    rows = np.flatnonzero(sets >= 0)
    rows = rows[np.argsort(sets[rows], kind="stable")]
    found = corpus.table.iloc[rows][["video", "split", "labels"]].reset_index(drop=True)
    found = found.assign(set=sets[rows] + 1, dropped=np.where(kept[rows], NO, YES))
    different = {number: _differ(texts) for number, texts in found.groupby("set")["labels"]}
    return found.assign(labels_differ=np.where(found["set"].map(different), YES, NO))[list(COLUMNS)]


def _differ(texts: Iterable[str]) -> bool:
    """Whether a class is a label of one of some videos and known to be absent from another; "" says nothing."""
    said = [({*shown(text)} - {""}, {*hidden(text)}) for text in {*texts} - {""}]
    return any(names - other - unknown for names, _ in said for other, unknown in said)


def read(path: Path) -> pd.DataFrame:
    """The table that stage `index` wrote.

    Raises:
        UserError: the file is missing or damaged.
    """
    return tsv.read(path, COLUMNS, stage="index", numbers=["set"])


def _contents(alike: pd.DataFrame, root: Path | RemoteFolder, scratch: Path, workers: int) -> list[str]:
    """A text for each file, the same for the same bytes: its fingerprint where that is of all bytes, else a hash."""
    prints = dict(zip(alike["path"], alike["fingerprint"], strict=True))
    large = [path for path, text in prints.items() if int(text.partition("-")[0]) > 2 * fingerprints.BLOCK]
    first: dict[object, str] = {}
    read_as = {path: first.setdefault(_identity(root / path), path) for path in large}  # links are read once
    hashes = fingerprints.recall(_content, root, list(first.values()), scratch / MEMORY, workers)
    of_file = dict(zip(first.values(), hashes, strict=True))
    return [of_file[read_as[path]] if path in read_as else text for path, text in prints.items()]


def _identity(path: Path | RemoteFile) -> object:
    """What the system knows a file by, whatever its names."""
    if isinstance(path, RemoteFile):
        return path
    try:
        status = path.stat()
    except OSError:
        return path
    return status.st_dev, status.st_ino


def _content(path: Path | RemoteFile) -> str:
    if isinstance(path, RemoteFile):
        return _remote_content(path)
    try:
        return files.file_hash(path)
    except OSError as error:  # it went away just now, or its disk does not give it
        return fingerprints.refusal(path, error)


def _remote_content(file: RemoteFile) -> str:
    digest, size = hashlib.sha256(), file.folder.files[file.path].size
    try:
        for start in range(0, size, PIECE):
            digest.update(file.read(start, min(start + PIECE, size)))
    except FileNotFoundError:  # it went away just now
        return MISSING
    return digest.hexdigest()
