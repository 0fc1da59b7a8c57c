"""Inputs of the page: where the outs of a finished run lie, and what more than one section reads of them."""

import json
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from pipeline import metrics as metric_names
from pipeline.class_stats import ClassStatistics
from pipeline.core import checksums
from pipeline.core.errors import UserError
from pipeline.core.manifest import Manifest
from pipeline.core.task import SINGLE_LABEL, Task
from pipeline.ensemble.results import MEMBERS, VARIANTS
from pipeline.predictions.table import PredictionTable, read_meta
from pipeline.predictions.view_scores import ViewScores

_NOT_FITTED = ("uniform", "given")
"""Rules for member weights that are not fitted to any video."""


@dataclass(frozen=True)
class InputPaths:
    """Paths of the outs of the stages."""

    manifest: Path
    classes: Path
    frames: Path
    """Index of the frames, which tells how many frames each video promised and gave."""
    broken: Path
    doubles: Path
    lmdb: Path
    stats: Path
    models: Path
    predictions: Path
    ensemble: Path
    metrics: Path
    overrides: Path


@dataclass(frozen=True)
class Inputs:
    """Outs of a run that more than one section of the page needs."""

    paths: InputPaths
    manifest: Manifest
    statistics: ClassStatistics
    split: str
    """Name of the split whose metrics the page shows: test where it is labelled, else val."""
    fused: PredictionTable
    """Predictions of the ensemble for that split."""
    metrics: dict[str, dict[str, float]]
    """Content of metrics.json."""
    overrides: list[str] | None
    """Settings that differ from conf/, as `name=value`, or the name behind + or - where one of the two lacks it; None
    where conf/ did not compose."""
    verdicts: dict[str, Any]
    """Content of verdicts.json."""
    variants: pd.DataFrame
    """Content of variants.csv."""
    member_table: pd.DataFrame
    """Content of members.csv: see `MEMBERS`."""

    @classmethod
    def read(cls, paths: InputPaths) -> "Inputs":
        """Read the outs, and check that they are of one corpus.

        Raises:
            UserError: a file is missing or not of this corpus.
        """
        manifest = Manifest.read(paths.manifest, paths.classes)
        fused = PredictionTable.read(paths.ensemble / "test.parquet")
        split = "test" if fused.labelled else "val"
        if split == "val":
            fused = PredictionTable.read(paths.ensemble / "val.parquet")
        _check(fused, manifest.split(split), paths.ensemble / f"{split}.parquet")
        metrics = json.loads(existing(paths.metrics).read_text(encoding="utf-8"))
        overrides = json.loads(existing(paths.overrides).read_text(encoding="utf-8"))
        verdicts = json.loads(existing(paths.ensemble / "verdicts.json").read_text(encoding="utf-8"))
        variants = pd.read_csv(existing(paths.ensemble / "variants.csv"), keep_default_na=False, na_values=[""])
        if tuple(variants.columns) != VARIANTS:
            raise UserError(f"{paths.ensemble / 'variants.csv'} is of another version. `dvc repro ensemble`.")
        members = pd.read_csv(existing(paths.ensemble / "members.csv"), dtype={"member": str}, keep_default_na=False)
        if tuple(members.columns) != MEMBERS:
            raise UserError(f"{paths.ensemble / 'members.csv'} is of another version. `dvc repro ensemble`.")
        members[list(MEMBERS[2:])] = members[list(MEMBERS[2:])].apply(pd.to_numeric)
        statistics = ClassStatistics.read(paths.stats)
        return cls(paths, manifest, statistics, split, fused, metrics, overrides, verdicts, variants, members)

    @property
    def task(self) -> Task:
        """Whether a video has one label or several."""
        return self.fused.task

    @property
    def single_label(self) -> bool:
        """Whether each video has one label."""
        return self.task == SINGLE_LABEL

    @property
    def metric(self) -> str:
        """Name of the headline metric."""
        return metric_names.TITLE[self.task]

    @property
    def members(self) -> tuple[str, ...]:
        """Names of the members, in the order of the ensemble."""
        return tuple(self.member_table["member"])

    @property
    def checkpoints(self) -> dict[str, str]:
        """Member -> SHA-256 of its network's weights; empty where its scores name none."""
        named = self.fused.meta.get("checkpoints", {})
        return {member: str(named.get(member) or "") for member in self.members}

    @property
    def best_member(self) -> str:
        """Name of the member that is best on val, under the protocol that is fused."""
        return str(self.verdicts["best_member"])

    @cached_property
    def used(self) -> dict[str, Any]:
        """Row of variants.csv for the variant that is used: column -> value."""
        return dict(self.variants[self.variants["used"].astype(bool)].iloc[0])

    @property
    def settings(self) -> dict[str, Any]:
        """Section `ensemble` of params.yaml that the run was made with; empty where the file does not say."""
        return dict(self.fused.meta.get("settings", {}))

    @property
    def selected(self) -> bool:
        """Whether the rule or the mean was selected among several, by their cross-fitted figures."""
        return len(self.members) > 1 and "best" in (self.settings.get("weights"), self.settings.get("mean"))

    @property
    def fitted_to_split(self) -> bool:
        """Whether the ensemble was fitted to, or selected on, the very videos whose metrics the page shows."""
        return self.split == "val" and (self.selected or self.used["weights"] not in _NOT_FITTED)

    @property
    def fuses_ranks(self) -> bool:
        """Whether the ensemble's scores are means of ranks, which order classes and are not probabilities."""
        mean: str = self.fused.meta["mean"]
        return mean == "rank"

    def meta(self, member: str) -> dict[str, Any]:
        """What a member's scores for `split` say they were made with.

        Raises:
            UserError: the file is missing or damaged.
        """
        path = existing(self.paths.predictions / member / f"{self.split}.parquet")
        return read_meta(pq.read_schema(path), path)

    def table(self, member: str) -> PredictionTable:
        """Predictions of a member for `split`, under the protocol that is fused.

        Raises:
            UserError: a file is missing or not of this corpus.
        """
        folder, protocol = self.paths.predictions / member, self.fused.meta["protocol"]
        table = PredictionTable.read(folder / f"{self.split}.parquet")
        _check(table, self.manifest.split(self.split), folder / f"{self.split}.parquet")
        if table.meta.get("protocol") == protocol:
            return table
        scores = ViewScores.read(folder, self.split).probabilities(protocol)
        if scores.shape != table.probabilities.shape:
            raise UserError(
                f"{folder}/{self.split}.views.npy holds {scores.shape} videos and classes, {self.split}.parquet "
                f"{table.probabilities.shape}. `dvc repro infer@{member}` makes both again."
            )
        return replace(table, probabilities=scores, meta={**table.meta, "protocol": protocol})


def _check(table: PredictionTable, manifest: Manifest, path: Path) -> None:
    if list(table.videos) != manifest.videos or table.classes != manifest.classes:
        raise UserError(f"{path} holds other videos or classes than the manifest. `dvc repro ensemble` makes it again.")


def existing(path: Path) -> Path:
    """The same path, of a file that exists and is undamaged.

    Raises:
        UserError: it does not exist, or is damaged.
    """
    if not path.is_file():
        raise UserError(f"{path} does not exist. `dvc repro` makes it.")
    checksums.check(path)
    return path
