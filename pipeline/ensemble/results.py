"""The figures of a run: metrics.json for `dvc exp show`, and the report's tables as Markdown and CSV.

A figure that is not known is an empty cell, never a zero.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from pipeline.clips.views import PROTOCOLS
from pipeline.core.markdown import text_table

Row = dict[str, Any]
"""A variant of the ensemble: columns of `VARIANTS` by name, those that are known."""
_ENDS = ("", "_low", "_high")
_FIGURES = ("val", "val_gain", "test", "test_gain")
VARIANTS = ("members", "weights", "mean", "used", "val_fitted", *(f"{what}{end}" for what in _FIGURES for end in _ENDS))
"""Columns of variants.csv. `val` is cross-fitted; a gain is over the member that is best on val; low and high are the
ends of the 95 % bootstrap interval over videos."""


@dataclass(frozen=True)
class Results:
    """Sample mAP in percent, by split ("val", and "test" where it is labelled)."""

    denominators: dict[str, dict[str, int]]
    """n_expected, n_scored and n_broken of each split."""
    prior: dict[str, float]
    members: dict[str, dict[str, dict[str, float]]]
    """member -> split -> protocol -> mAP."""
    ensembles: dict[str, dict[str, float]]
    """row of the table -> split -> mAP."""
    kind: str
    """The rule and the mean of the ensemble that is used."""
    picked: bool
    """Whether that was picked among several, by their cross-fitted figures."""
    weights: dict[str, float]
    """Of each member in the ensemble that is used."""
    best_member: str
    """On val, under the protocol that is fused."""
    worth: dict[str, float | None]
    """Cross-fitted val mAP that the ensemble loses without the member; None where that is not known."""
    rows: list[Row]
    """The variants that were compared, and the subsets."""
    left_out: list[str]
    """Subsets that say nothing here: all members, fewer than two, or no weight."""

    def flat(self) -> dict[str, Any]:
        """What `dvc exp show` shows: two levels, short names."""
        shown: dict[str, Any] = {"prior": self.prior}
        shown["ensemble"] = {
            f"{split}{suffix}": mAP
            for row, suffix in (("used", ""), ("cross-fitted", "_crossfit"))
            for split, mAP in self.ensembles.get(row, {}).items()
        }
        for member, splits in self.members.items():
            shown[member] = {f"{split}_{p}": mAP for split, by in splits.items() for p, mAP in by.items()}
        shown["videos"] = {f"{split}_{n}": v for split, counts in self.denominators.items() for n, v in counts.items()}
        return shown

    def markdown(self, title: str) -> str:
        """All tables: models by protocol, ensembles, the variants that were compared, what each member is worth."""
        parts = [self._head(title), self._models(), self._ensembles(), self._variants(), self._worth()]
        return "\n".join(line for part in parts for line in part)

    def variants_csv(self) -> str:
        """A line a variant: the columns `VARIANTS`."""
        return pd.DataFrame(self.rows, columns=list(VARIANTS)).to_csv(index=False, lineterminator="\n")

    def members_csv(self) -> str:
        """A line a member: its weight, and what it is worth; `dvc plots show` draws it."""
        columns = {"member": list(self.weights), "weight": list(self.weights.values())}
        columns["worth"] = [self.worth.get(name) for name in self.weights]
        return pd.DataFrame(columns).to_csv(index=False, lineterminator="\n")

    def _head(self, title: str) -> list[str]:
        lines = [f"# {title}", "", "Sample mAP in percent.", ""]
        for split, counts in self.denominators.items():
            scored = "" if split in self.prior else "; nobody labelled them, so they are not scored"
            lines.append(
                f"* {split}: {counts['n_expected']} videos, {counts['n_broken']} of them broken and answered "
                f"with the class prior{scored}"
            )
        return lines

    def _models(self) -> list[str]:
        splits = list(self.prior)
        head = ["model", *(f"{s} {p}" for s in splits for p in PROTOCOLS)]
        rows = [["class prior", *(_figure(self.prior[s]) for s in splits for _ in PROTOCOLS)]]
        rows += [[name, *(_figure(by[s][p]) for s in splits for p in PROTOCOLS)] for name, by in self.members.items()]
        return ["", "## Models", "", *text_table(head, rows)]

    def _ensembles(self) -> list[str]:
        splits = list(self.prior)
        rows = [[_ROWS[row], *(_figure(by.get(s)) for s in splits)] for row, by in self.ensembles.items()]
        share = ", ".join(f"{name} {weight:.2f}" for name, weight in self.weights.items())
        table = text_table(["ensemble", *splits], rows)
        return ["", "## Ensembles", "", *table, "", f"Weights used ({self.kind}): {share}.", ""]

    def _variants(self) -> list[str]:
        tested = "test" in self.prior
        head = ["members", "weights", "mean", "val fitted", "val cross-fitted", "gain"]
        head += ["test", "gain on test"] if tested else []
        shown = ("val", "val_gain", "test", "test_gain")[: 4 if tested else 2]
        rows = [
            [
                row["members"],
                row["weights"] + (" (used)" if row["used"] else ""),
                row["mean"],
                _figure(row["val_fitted"]),
                *(_with_interval(row, what) for what in shown),
            ]
            for row in self.rows
        ]
        lines = [
            "## Variants",
            "",
            f"With 95 % bootstrap intervals over videos. The gain is over {self.best_member}, the best member on val.",
            "Cross-fitted figures still flatter a little: each member's epoch was picked on the whole val split.",
        ]
        if self.picked:
            lines.append("What is used has the highest of them, and of several the highest flatters once more.")
        if self.left_out:
            names = ", ".join(self.left_out)
            lines.append(f"Subsets left out, as they hold all members, fewer than two, or no weight: {names}.")
        return [*lines, "", *text_table(head, rows), ""]

    def _worth(self) -> list[str]:
        rows = [[name, _figure(self.weights[name]), _figure(value)] for name, value in self.worth.items()]
        lines = ["## Members", "", "Worth: the cross-fitted val mAP that is lost when the member is left out.", ""]
        return [*lines, *text_table(["member", "weight", "worth"], rows), ""]


_ROWS = {
    "uniform": "uniform weights",
    "used": "weights used (on val they may have been fitted to these very videos)",
    "cross-fitted": "cross-fitted: each fold with weights fitted on the others",
}


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _with_interval(row: Mapping[str, Any], what: str) -> str:
    if row.get(what) is None:
        return ""
    return f"{row[what]:.2f} ({row[what + '_low']:.2f} to {row[what + '_high']:.2f})"
