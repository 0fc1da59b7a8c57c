"""Results of the ensemble: metrics.json for `dvc exp show`, and the report's tables as Markdown and CSV.

A metric that is not known is an empty cell, never a zero.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from pipeline.clips.views import PROTOCOLS
from pipeline.core.markdown import text_table

Row = dict[str, Any]
"""A row of variants.csv: column of `VARIANTS` -> value, where it is known."""
_ENDS = ("", "_low", "_high")
_METRICS = ("val", "val_gain", "test", "test_gain")
VARIANTS = (
    "members",
    "weights",
    "mean",
    "used",
    "val_fitted",
    *(f"{metric}{end}" for metric in _METRICS for end in _ENDS),
)
"""Columns of variants.csv: mAP in percent. `val` is cross-fitted; a gain is over the member that is best on val;
low and high are the ends of the 95 % bootstrap interval over videos."""


@dataclass(frozen=True)
class Results:
    """Results of an ensemble and its members. Every mAP is the sample mAP in percent.

    Splits are "val" and "test"; test has a mAP only where it is labelled.
    """

    denominators: dict[str, dict[str, int]]
    """Split -> number of videos: n_expected, n_scored and n_broken."""
    prior: dict[str, float]
    """Split -> mAP of the class prior, given as the answer for every video."""
    members: dict[str, dict[str, dict[str, float]]]
    """Member -> split -> protocol -> mAP."""
    ensembles: dict[str, dict[str, float]]
    """Row of the table of ensembles -> split -> mAP."""
    kind: str
    """Rule and mean of the variant that is used, such as "fitted, of logit"."""
    selected: bool
    """Whether that variant was selected among several, by their cross-fitted mAP."""
    member_weights: dict[str, float]
    """Member -> its weight in the variant that is used; the mean over classes where every class has its own."""
    best_member: str
    """Name of the member that is best on val, under the protocol that is fused."""
    worth: dict[str, float | None]
    """Member -> cross-fitted val mAP that the ensemble loses without it; None where that is not known."""
    rows: list[Row]
    """Rows of variants.csv: the variants that were compared, then the subsets."""
    left_out: list[str]
    """Names of the subsets that were not evaluated: they hold all members, fewer than two, or no weight."""

    def flat(self) -> dict[str, Any]:
        """Content of metrics.json, as `dvc exp show` shows it: two levels, short names."""
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
        """Content of tables.md: models by protocol, ensembles, the variants that were compared, each member's worth."""
        parts = [self._head(title), self._models(), self._ensembles(), self._variants(), self._worth()]
        return "\n".join(line for part in parts for line in part)

    def variants_csv(self) -> str:
        """Content of variants.csv: a line a variant, with the columns `VARIANTS`."""
        text: str = pd.DataFrame(self.rows, columns=list(VARIANTS)).to_csv(index=False, lineterminator="\n")
        return text

    def members_csv(self) -> str:
        """Content of members.csv: each member with its weight and worth; `dvc plots show` draws it."""
        columns = {"member": list(self.member_weights), "weight": list(self.member_weights.values())}
        columns["worth"] = [self.worth.get(name) for name in self.member_weights]
        text: str = pd.DataFrame(columns).to_csv(index=False, lineterminator="\n")
        return text

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
        rows = [["class prior", *(_number(self.prior[s]) for s in splits for _ in PROTOCOLS)]]
        rows += [[name, *(_number(by[s][p]) for s in splits for p in PROTOCOLS)] for name, by in self.members.items()]
        return ["", "## Models", "", *text_table(head, rows)]

    def _ensembles(self) -> list[str]:
        splits = list(self.prior)
        rows = [[_ROWS[row], *(_number(by.get(s)) for s in splits)] for row, by in self.ensembles.items()]
        share = ", ".join(f"{name} {weight:.2f}" for name, weight in self.member_weights.items())
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
                _number(row["val_fitted"]),
                *(_with_interval(row, metric) for metric in shown),
            ]
            for row in self.rows
        ]
        lines = [
            "## Variants",
            "",
            f"With 95 % bootstrap intervals over videos. The gain is over {self.best_member}, the best member on val.",
            "Cross-fitted figures still flatter a little: each member's epoch was picked on the whole val split.",
        ]
        if self.selected:
            lines.append("What is used has the highest of them, and of several the highest flatters once more.")
        if self.left_out:
            names = ", ".join(self.left_out)
            lines.append(f"Subsets left out, as they hold all members, fewer than two, or no weight: {names}.")
        return [*lines, "", *text_table(head, rows), ""]

    def _worth(self) -> list[str]:
        rows = [[name, _number(self.member_weights[name]), _number(value)] for name, value in self.worth.items()]
        lines = ["## Members", "", "Worth: the cross-fitted val mAP that is lost when the member is left out.", ""]
        return [*lines, *text_table(["member", "weight", "worth"], rows), ""]


_ROWS = {
    "uniform": "uniform weights",
    "used": "weights used (on val they may have been fitted to these very videos)",
    "cross-fitted": "cross-fitted: each fold with weights fitted on the others",
}


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _with_interval(row: Mapping[str, Any], metric: str) -> str:
    if row.get(metric) is None:
        return ""
    return f"{row[metric]:.2f} ({row[metric + '_low']:.2f} to {row[metric + '_high']:.2f})"
