"""A run as it is compared: settings, code, videos and prediction files of a folder, a commit or an experiment."""

import csv
import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from dvc.api import DVCFileSystem
from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc.scm import SCMError, resolve_rev

from pipeline.core import checksums, params
from pipeline.core.errors import UserError
from pipeline.predictions.table import SPLITS, PredictionTable
from pipeline.predictions.view_scores import ViewScores

ENSEMBLE = "ensemble"
_SMALL = ("params.yaml", "dvc.lock", "data/manifest.tsv", "data/manifest.SHA256SUMS")
_OF_A_VIDEO = ("split", "labels", "fingerprint")
CODE = ("pipeline/", "stages/")
"""How paths of code begin."""
_CHECKS = ("check", "check_corpus")
"""Stages that refuse, and make nothing of what is compared."""


@dataclass(frozen=True)
class Run:
    """What one run was made with, and what it answered."""

    name: str
    """As it was asked for."""
    settings: Mapping[str, Any]
    """Dotted name -> value, all of params.yaml; empty where the folder has none."""
    code: Mapping[str, str]
    """File or folder that some stage ran -> its hash, by dvc.lock; empty where the folder has none."""
    videos: pd.DataFrame
    """The manifest, indexed by video: split, labels, fingerprint; no rows where there is none."""
    tables: Mapping[tuple[str, str], PredictionTable]
    """(model or `ensemble`, split) -> its answers, of those whose videos have labels."""
    views: Mapping[tuple[str, str], ViewScores]
    """(model, split) -> the logits of its views, which lie on disk; none where they were not asked for."""

    @classmethod
    def read(cls, folder: Path, name: str, *, views: bool = False) -> "Run":
        """Read a folder that has `data/`, with the logits of `views` or without.

        Raises:
            UserError: it has no prediction files, or one of its files is damaged.
        """
        data = folder / "data"
        tables = dict(_tables(data))
        if not tables:
            raise UserError(
                f"{name} has no prediction files with labels in {data / 'predictions'}, so there is nothing to "
                "compare. Name an experiment, a commit or a folder of this pipeline that has run: `dvc exp show`."
            )
        of = {(model, split) for model, split in tables if views and model != ENSEMBLE}
        logits = {(model, split): ViewScores.read(data / "predictions" / model, split) for model, split in of}
        return cls(name, _settings(folder), _code(folder), _videos(data), tables, logits)

    def under(self, model: str, split: str, protocol: str) -> PredictionTable | None:
        """The answers of a model under a protocol, or those that it has where its views were not asked for.

        None where it has neither answers nor views for the protocol.

        Raises:
            UserError: the views are of other videos or classes than the answers.
        """
        table, views = self.tables.get((model, split)), self.views.get((model, split))
        if table is None or views is None or table.meta.get("protocol", "") == protocol:
            return table
        if protocol not in views.grid["protocols"]:
            return None
        if (views.logits.shape[0], views.logits.shape[2]) != table.probabilities.shape:
            raise UserError(f"{self.name}: {model}/{split}.parquet and its views are not of one run. `dvc repro`.")
        return replace(table, probabilities=views.probabilities(protocol), meta={**table.meta, "protocol": protocol})

    @property
    def seedless(self) -> tuple[Any, ...]:
        """What two runs have in common that differ in the seeds of their trainings alone."""
        settings = json.dumps(without_seeds(self.settings), sort_keys=True)
        return settings, tuple(sorted(self.code.items())), self.videos.to_csv()


def without_seeds(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings (dotted name -> value) but for the seeds of trainings."""
    return {name: value for name, value in settings.items() if not name.endswith(".train.seed")}


def find(name: str, stack: ExitStack, *, views: bool = False) -> Run:
    """The run of a name: a folder, or an experiment, commit, branch or tag of the project in the current folder.

    Args:
        name: what to read; `.` is data/ as it is now.
        stack: where a revision's files are copied to a folder that the stack removes.
        views: whether the logits of the views are wanted, too.

    Raises:
        UserError: there is no such thing, or DVC's cache lacks its files.
    """
    if Path(name).is_dir():
        folder = Path(name)
        return Run.read(folder.parent if folder.name == "data" else folder, name, views=views)
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="compare-")))
    _copy(name, folder, views)
    return Run.read(folder, name, views=views)


@contextmanager
def opened(revision: str) -> Iterator[DVCFileSystem]:
    """The files of an experiment, commit, branch or tag, from Git and DVC's cache.

    Raises:
        UserError: there is no such thing, or DVC's cache lacks what is read.
    """
    if not Path(".dvc").is_dir():
        raise UserError(f"There is no folder {revision!r}; for a commit or experiment, run this in the project's root.")
    try:
        yield DVCFileSystem(url=".", rev=resolved(revision))
    except (DvcException, SCMError, OSError) as error:
        why = str(error).splitlines()[0] if str(error) else repr(error)
        raise UserError(
            f"{revision!r} is no folder, and as a commit or experiment it cannot be read ({why}). `dvc exp show` lists "
            "experiments, `git log` commits; `dvc fetch -A` brings what DVC's cache lacks."
        ) from error


def _copy(revision: str, to: Path, views: bool) -> None:
    """Copy what is compared of a revision."""
    with opened(revision) as files:
        wanted = [name for name in _SMALL if files.isfile(name)]
        for split in SPLITS:
            wanted += files.glob(f"data/predictions/*/{split}.parquet") + files.glob(f"data/ensemble/{split}.parquet")
            wanted += files.glob(f"data/predictions/*/{split}.views.*") if views else []
        lists = {str(Path(name).parent / checksums.NAME) for name in wanted if name.endswith(".parquet")}
        for name in [*wanted, *(one for one in sorted(lists) if files.isfile(one))]:
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            files.get_file(name, str(to / name))


def resolved(revision: str) -> str:
    """The commit of a revision or of an experiment's name."""
    with Repo(".") as repo:
        return str(resolve_rev(repo.scm, revision))


def _tables(data: Path) -> "list[tuple[tuple[str, str], PredictionTable]]":
    places = [(folder.name, folder) for folder in sorted((data / "predictions").glob("*")) if folder.is_dir()]
    found = []
    for model, folder in [*places, (ENSEMBLE, data / ENSEMBLE)]:
        for split in SPLITS:
            if (file := folder / f"{split}.parquet").is_file() and (table := PredictionTable.read(file)).labelled:
                found.append(((model, split), table))
    return found


def _settings(folder: Path) -> dict[str, Any]:
    file = folder / "params.yaml"
    if not file.is_file():
        return {}
    try:
        return dict(flat(yaml.safe_load(file.read_text(encoding="utf-8")) or {}))
    except params.NO_YAML as error:
        raise UserError(f"{file} cannot be read as settings: {error}") from error


def flat(node: Mapping[str, Any], above: str = "") -> "list[tuple[str, Any]]":
    """(dotted name, value) of all that is no mapping, or an empty one."""
    found: list[tuple[str, Any]] = []
    for key, value in node.items():
        name = f"{above}.{key}" if above else str(key)
        found += flat(value, name) if isinstance(value, Mapping) and value else [(name, value)]
    return found


def _code(folder: Path) -> dict[str, str]:
    file = folder / "dvc.lock"
    if not file.is_file():
        return {}
    try:
        stages = (yaml.safe_load(file.read_text(encoding="utf-8")) or {})["stages"]
        deps = [dep for name, stage in stages.items() if name not in _CHECKS for dep in stage.get("deps", ())]
        return {dep["path"]: dep["md5"] for dep in deps if dep["path"].startswith(CODE)}
    except (yaml.YAMLError, ValueError, LookupError, AttributeError, TypeError) as error:
        raise UserError(f"{file} is damaged ({error!r}): DVC did not write it so.") from error


def _videos(data: Path) -> pd.DataFrame:
    file = data / "manifest.tsv"
    if not file.is_file():
        return pd.DataFrame(columns=["video", *_OF_A_VIDEO]).set_index("video")
    checksums.check(file)
    try:
        table = pd.read_csv(file, sep="\t", dtype=str, keep_default_na=False, quoting=csv.QUOTE_NONE)
        return table.set_index("video")[list(_OF_A_VIDEO)]
    except (ValueError, LookupError, pd.errors.ParserError) as error:
        raise UserError(f"{file} cannot be read as a manifest ({error!r}).") from error
