"""The figures of a run: metrics.json for `dvc exp show`, and the report's two tables as Markdown."""

from dataclasses import dataclass, field
from typing import Any

from pipeline.views import PROTOCOLS


@dataclass
class Results:
    """Sample mAP in percent, by split ("val", and "test" where it is labelled)."""

    denominators: dict[str, dict[str, int]]
    """n_expected, n_scored and n_broken of each split."""
    prior: dict[str, float]
    members: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict)
    """member -> split -> protocol -> mAP."""
    ensembles: dict[str, dict[str, float]] = field(default_factory=dict)
    """row of the table -> split -> mAP."""
    weights: dict[str, float] = field(default_factory=dict)
    """Of each member in the ensemble that is used."""

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

    def markdown(self, title: str, kind: str) -> str:
        """The two tables: models by protocol, ensembles below."""
        splits = list(self.prior)
        lines = [f"# {title}", "", "Sample mAP in percent.", ""]
        for split, counts in self.denominators.items():
            scored = "" if split in splits else "; nobody labelled them, so they are not scored"
            lines.append(
                f"* {split}: {counts['n_expected']} videos, {counts['n_broken']} of them broken and answered "
                f"with the class prior{scored}"
            )
        lines += ["", "## Models", ""]
        lines += text_table(
            ["model", *(f"{s} {p}" for s in splits for p in PROTOCOLS)],
            [
                ["class prior", *(_figure(self.prior[s]) for s in splits for _ in PROTOCOLS)],
                *([name, *(_figure(by[s][p]) for s in splits for p in PROTOCOLS)] for name, by in self.members.items()),
            ],
        )
        lines += ["", "## Ensembles", ""]
        rows = [[_ROWS[row], *(_figure(by.get(s)) for s in splits)] for row, by in self.ensembles.items()]
        lines += text_table(["ensemble", *splits], rows)
        share = ", ".join(f"{name} {weight:.2f}" for name, weight in self.weights.items())
        lines += ["", f"Weights used ({kind}): {share}.", ""]
        return "\n".join(lines)


_ROWS = {
    "uniform": "uniform weights",
    "used": "weights used (on val they may have been fitted to these very videos)",
    "cross-fitted": "cross-fitted: each fold with weights fitted on the others",
}


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def text_table(head: list[str], rows: list[list[str]]) -> list[str]:
    """A Markdown table whose columns line up in plain text too."""
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]

    def line(cells: list[str]) -> str:
        first, *rest = zip(cells, widths, strict=True)
        return "| " + " | ".join([first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in rest)]) + " |"

    rule = [f"|{'-' * (widths[0] + 2)}|" + "".join(f"{'-' * (width + 1)}:|" for width in widths[1:])]
    return [line(head), *rule, *(line(row) for row in rows)]
