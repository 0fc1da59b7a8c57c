"""A finished run: where its outs lie, and what is read of them more than once."""

import json
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.class_stats import ClassStatistics
from pipeline.core.errors import UserError
from pipeline.core.manifest import Manifest
from pipeline.ensemble.results import VARIANTS
from pipeline.predictions.table import PredictionTable, ViewScores

_NOT_FITTED = ("uniform", "given")
"""Kinds of weights that no video had a say in."""


@dataclass(frozen=True)
class Sources:
    """Where the outs of the stages lie."""

    manifest: Path
    classes: Path
    frames: Path
    """The index of the frames, which names what is short of frames."""
    broken: Path
    lmdb: Path
    stats: Path
    models: Path
    predictions: Path
    ensemble: Path
    metrics: Path


@dataclass(frozen=True)
class Run:
    """What the page is about, as far as more than one section needs it."""

    sources: Sources
    manifest: Manifest
    statistics: ClassStatistics
    split: str
    """The split that is judged: test where it is labelled, else val."""
    fused: PredictionTable
    metrics: dict[str, dict[str, float]]
    variants: pd.DataFrame
    worth: pd.DataFrame
    """member, weight, worth"""

    @classmethod
    def read(cls, sources: Sources) -> "Run":
        """Read what every page needs.

        Raises:
            UserError: a file is missing or not of this corpus.
        """
        manifest = Manifest.read(sources.manifest, sources.classes)
        fused = PredictionTable.read(sources.ensemble / "test.parquet")
        split = "test" if fused.labelled else "val"
        if split == "val":
            fused = PredictionTable.read(sources.ensemble / "val.parquet")
        _check(fused, manifest.split(split), sources.ensemble / f"{split}.parquet")
        metrics = json.loads(present(sources.metrics).read_text(encoding="utf-8"))
        variants = pd.read_csv(present(sources.ensemble / "variants.csv"), keep_default_na=False, na_values=[""])
        if tuple(variants.columns) != VARIANTS:
            raise UserError(f"{sources.ensemble / 'variants.csv'} is of another version. `dvc repro ensemble`.")
        worth = pd.read_csv(present(sources.ensemble / "members.csv"), dtype={"member": str}, keep_default_na=False)
        worth["worth"] = pd.to_numeric(worth["worth"])
        return cls(sources, manifest, ClassStatistics.read(sources.stats), split, fused, metrics, variants, worth)

    @property
    def members(self) -> tuple[str, ...]:
        """The models of the ensemble, in its order."""
        return tuple(self.worth["member"])

    @property
    def checkpoints(self) -> dict[str, str]:
        """Member -> SHA-256 of its weights, empty where its scores name none."""
        named = self.fused.meta.get("checkpoints", {})
        return {member: str(named.get(member) or "") for member in self.members}

    @cached_property
    def best(self) -> str:
        """The member that is best on val, under the protocol that is fused."""
        return max(self.members, key=lambda member: self.metrics[member][f"val_{self.fused.meta['protocol']}"])

    @cached_property
    def used(self) -> dict[str, Any]:
        """The row of the variants that is used."""
        return dict(self.variants[self.variants["used"].astype(bool)].iloc[0])

    @property
    def settings(self) -> dict[str, Any]:
        """The section `ensemble` that the run was made with, as plain values."""
        return dict(self.fused.meta.get("settings", {}))

    @property
    def chosen(self) -> bool:
        """Whether the kind of weights or of mean was chosen, on the cross-fitted figures."""
        return "best" in (self.settings.get("weights"), self.settings.get("mean"))

    @property
    def fitted(self) -> bool:
        """Whether the ensemble was fitted to, or chosen on, the very videos that it is judged by."""
        return self.split == "val" and (self.chosen or self.used["weights"] not in _NOT_FITTED)

    @property
    def ranked(self) -> bool:
        """Whether the ensemble's scores are shares of ranks, which order classes and are no probabilities."""
        return self.fused.meta["mean"] == "rank"

    def table(self, member: str) -> PredictionTable:
        """A member's predictions of the split that is judged, under the protocol that is fused.

        Raises:
            UserError: a file is missing or not of this corpus.
        """
        folder, protocol = self.sources.predictions / member, self.fused.meta["protocol"]
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


def present(path: Path) -> Path:
    """The path, if there is such a file.

    Raises:
        UserError: there is not.
    """
    if not path.is_file():
        raise UserError(f"{path} does not exist. `dvc repro` makes it.")
    return path
