"""A folder of clips and a file of JSON lines: {"path": "a/1.mp4", "labels": ["run", "jump"], "split": "train"}."""

import json
from pathlib import Path

from pipeline.core.errors import UserError
from pipeline.core.manifest import DatasetConfig, Manifest, VideoRecord
from pipeline.core.names import LABEL_SEPARATOR, UNKNOWN, safe_path


def read(config: DatasetConfig) -> Manifest:
    """Manifest of the corpus, in the order of the file.

    Raises:
        UserError: the file is missing or malformed; names the line.
    """
    annotations = Path(config.annotations)
    if not annotations.is_file():
        raise UserError(f"{annotations} does not exist. Set dataset.annotations in conf/dataset/, then `make params`.")
    lines = annotations.read_text(encoding="utf-8").splitlines()
    records = [record(line, f"{annotations}, line {number}") for number, line in enumerate(lines, start=1)]
    names = {name for video in records for name in video.labels.split(LABEL_SEPARATOR) if name}
    classes = sorted({name.removeprefix(UNKNOWN) for name in names})  # `?run`: nobody knows whether it shows a run
    return Manifest.from_records(records, classes, where=str(annotations))


def record(line: str, where: str) -> VideoRecord:
    """One video; `where` names its line in messages."""
    try:
        entry = json.loads(line)
        path, labels, split = safe_path(entry["path"], where), list(map(str, entry["labels"])), str(entry["split"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{where}: an object with path, labels and split is wanted ({error!r}). Mend it.") from error
    return VideoRecord(path, split, path, LABEL_SEPARATOR.join(labels))
