"""Results of the ensemble: metrics.json for `dvc exp show`, and the report's tables as Markdown and CSV.

A metric that is not known is an empty cell, never a zero.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pandas as pd

from pipeline import metrics, verdict
from pipeline.clips.views import PROTOCOLS
from pipeline.core import files
from pipeline.core.markdown import text_table
from pipeline.core.task import Task
from pipeline.ensemble.verdicts import ENSEMBLE, SplitVerdicts

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
"""Columns of variants.csv: headline metric in percent. `val` is cross-fitted; a gain is over the member that is best on
val, and empty where no model beats chance; low and high are the ends of the 95 % bootstrap interval over videos."""
MEMBERS = ("member", "weight", "worth", "worth_low", "worth_high")
"""Columns of members.csv: worth is in percent points, with the ends of its 95 % bootstrap interval over videos; empty
where it is not known, or no model beats chance."""
CHOICE = "chosen by fold"
"""Rule and mean of the row of variants.csv that counts the choice: each fold has the variant best on the others."""


class Estimate(NamedTuple):
    """A figure in percent and the ends of its 95 % bootstrap interval over videos."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Results:
    """Results of an ensemble and its members. Every figure is the headline metric of the task, in percent.

    Splits are "val" and "test"; test has a figure only where it is labelled.
    """

    task: Task
    classes: tuple[str, ...]
    denominators: dict[str, dict[str, int]]
    """Split -> number of videos: n_expected, n_scored and n_broken, and n_unseen where no member sees some."""
    verdicts: dict[str, SplitVerdicts]
    """Labelled split -> chance, the class prior, and how the models stand to them."""
    members: dict[str, dict[str, dict[str, Estimate]]]
    """Member -> split -> protocol -> figure, where there are labels; over all videos, also those it cannot see."""
    ensembles: dict[str, dict[str, Estimate]]
    """Row of the table of ensembles -> split -> figure."""
    kind: str
    """Rule and mean of the variant that is used, such as "fitted, of logit"."""
    selected: bool
    """Whether that variant was selected among several, by their cross-fitted figures."""
    member_weights: dict[str, float]
    """Member -> its weight in the variant that is used; the mean over classes where every class has its own."""
    best_member: str
    """Name of the member that is best on val, under the protocol that is fused."""
    worth: dict[str, Estimate | None]
    """Member -> cross-fitted val figure that the ensemble loses without it; None where that is not known, or no model
    beats chance on val."""
    rows: list[Row]
    """Rows of variants.csv: the variants that were compared, then the subsets."""
    left_out: list[str]
    """Names of the subsets that were not evaluated: they hold all members, fewer than two, or no weight."""
    unseen: dict[str, dict[str, int]] = field(default_factory=dict)
    """Member that cannot see some videos -> split -> their number."""
    where_seen: dict[str, dict[str, dict[str, Estimate]]] = field(default_factory=dict)
    """Member that cannot see some videos -> split -> protocol -> figure over the videos that it sees."""
    stand_ins: dict[str, str] = field(default_factory=dict)
    """Member without views for some protocol -> what answers for it, such as "clip for multiscale"."""

    @property
    def metric(self) -> str:
        """The name of the headline metric."""
        return metrics.TITLE[self.task]

    def flat(self) -> dict[str, Any]:
        """Content of metrics.json, as `dvc exp show` shows it: two levels, short names."""
        ends = ("", "_low", "_high")
        parts = {split: one.plain() for split, one in self.verdicts.items()}
        shown: dict[str, Any] = {
            what: {f"{s}{end}": v for s, by in parts.items() for end, v in zip(ends, by[what].values(), strict=True)}
            for what in ("chance", "prior")
        }
        fused = {
            f"{split}{suffix}": one
            for row, suffix in (("used", ""), ("cross-fitted", "_crossfit"), ("choice", "_choice"))
            for split, one in self.ensembles.get(row, {}).items()
        }
        shown["ensemble"] = {name: one.value for name, one in fused.items()}
        for member, splits in self.members.items():
            shown[member] = {f"{split}_{p}": one.value for split, by in splits.items() for p, one in by.items()}
            seen = self.where_seen.get(member, {})
            shown[member] |= {f"{split}_{p}_seen": one.value for split, by in seen.items() for p, one in by.items()}
        known = {member: worth for member, worth in self.worth.items() if worth}
        for member, worth in known.items():
            shown[member]["worth"] = worth.value
        shown["interval"] = {
            f"{member}_{split}_{p}{suffix}{end}": value
            for suffix, members in (("", self.members), ("_seen", self.where_seen))
            for member, splits in members.items()
            for split, by in splits.items()
            for p, one in by.items()
            for end, value in (("_low", one.low), ("_high", one.high))
        }
        for member, (_, *interval) in known.items():
            shown["interval"] |= {f"{member}_worth{end}": v for end, v in zip(ends[1:], interval, strict=True)}
        shown["interval"] |= {
            f"ensemble_{name}{end}": value
            for name, one in fused.items()
            for end, value in (("_low", one.low), ("_high", one.high))
        }
        shown["verdict"] = {
            f"{name}_{split}": state for name, by in self.states().items() for split, state in by.items()
        }
        shown["videos"] = {f"{split}_{n}": v for split, counts in self.denominators.items() for n, v in counts.items()}
        shown["videos"] |= {f"{m}_{split}_n_unseen": n for m, by in self.unseen.items() for split, n in by.items()}
        shown["corpus"] = {"task": self.task, "classes": files.fingerprint(self.classes)}
        return shown

    def states(self) -> dict[str, dict[str, str]]:
        """Member, or "ensemble" -> split -> how it stands to chance (verdict.State)."""
        found: dict[str, dict[str, str]] = {}
        for split, by in self.verdicts.items():
            for one in by.models:
                found.setdefault("ensemble" if one.name == ENSEMBLE else one.name, {})[split] = one.state
        return found

    def sentences(self) -> list[str]:
        """What the figures are worth, sentence by sentence; the split to quote first."""
        told = [sentence for split in reversed(self.verdicts) for sentence in self.verdicts[split].sentences()]
        told.append(verdict.PICKED)
        if len(self.members) == 1:
            return [*told, f"One member: the ensemble is {self.best_member} itself, and there are no variants."]
        split = list(self.verdicts)[-1]
        if not self.verdicts[split].any_better:
            return [*told, f"No model is better than chance on {split}, so there is no gain to tell."]
        if 1.0 in self.member_weights.values():
            return [*told, f"The ensemble is {max(self.member_weights, key=self.member_weights.__getitem__)} alone."]
        used, *choice = sorted((row for row in self.rows if row["used"] or row["weights"] == CHOICE), key=_is_choice)
        row = choice[0] if choice and split == "val" else used
        return [*told, verdict.gain(self.best_member, split, [row[f"{split}_gain{end}"] for end in _ENDS])]

    def verdicts_json(self) -> dict[str, Any]:
        """Content of verdicts.json, for the page: best member, sentences, states, chance and the prior by split."""
        parts = {split: one.plain() for split, one in self.verdicts.items()}
        known = {"task": self.task, "best_member": self.best_member, "sentences": self.sentences()}
        return {**known, "states": self.states(), "splits": parts}

    def markdown(self, title: str) -> str:
        """Content of tables.md: verdicts, models by protocol, ensembles, compared variants, each member's worth."""
        parts = [self._head(title), self._models(), self._ensembles()]
        parts += [self._variants(), self._worth()] if len(self.members) > 1 else []
        return "\n".join(line for part in parts for line in part)

    def variants_csv(self) -> str:
        """Content of variants.csv: a line a variant, with the columns `VARIANTS`."""
        text: str = pd.DataFrame(self.rows, columns=list(VARIANTS)).to_csv(index=False, lineterminator="\n")
        return text

    def members_csv(self) -> str:
        """Content of members.csv, with the columns `MEMBERS`: each member with its weight and worth, and the interval.

        `dvc plots show` draws it.
        """
        rows = [(name, weight, *(self.worth.get(name) or (None,) * 3)) for name, weight in self.member_weights.items()]
        text: str = pd.DataFrame(rows, columns=list(MEMBERS)).to_csv(index=False, lineterminator="\n")
        return text

    def _head(self, title: str) -> list[str]:
        lines = [f"# {title}", "", *(f"* {sentence}" for sentence in self.sentences()), ""]
        lines += [f"{self.metric[0].upper()}{self.metric[1:]} in percent.", ""]
        for split, counts in self.denominators.items():
            scored = "" if split in self.verdicts else "; nobody labelled them, so they are not scored"
            lines.append(
                f"* {split}: {counts['n_expected']} videos, {counts['n_broken']} of them broken and answered "
                f"with the class prior{scored}"
            )
        for split, counts in self.denominators.items():
            told = [f"{by[split]} by {member}" for member, by in self.unseen.items() if by[split]]
            told += [f"{counts['n_unseen']} by all"] if "n_unseen" in counts else []
            lines += [f"* {split}: cannot be seen: {', '.join(told)}"] if told else []
        return lines

    def _models(self) -> list[str]:
        splits = list(self.verdicts)
        head = ["model", *(f"{s} {p}" for s in splits for p in PROTOCOLS)]
        baselines = {
            name: {s: dict.fromkeys(PROTOCOLS, Estimate(*self.verdicts[s].plain()[what].values())) for s in splits}
            for name, what in _BASELINES.items()
        }
        models = {**baselines, **self.members, **{f"{name} (seen)": by for name, by in self.where_seen.items()}}
        cells = {
            name: [by[s][p] if s in by else None for s in splits for p in PROTOCOLS] for name, by in models.items()
        }
        rows = [[name, *(_number(one and one.value) for one in row)] for name, row in cells.items()]
        ends = [
            [name, *(f"{one.low:.2f} to {one.high:.2f}" if one else "" for one in row)] for name, row in cells.items()
        ]
        told = "95 % intervals: of random answers by chance, of all others by the bootstrap over videos."
        remarks = [*_SEEN] if self.unseen else []
        remarks += [f"{name} has views of its own: {said}." for name, said in self.stand_ins.items()]
        remarks = [*remarks, ""] if remarks else []
        return ["", "## Models", "", *text_table(head, rows), "", *remarks, told, "", *text_table(head, ends)]

    def _ensembles(self) -> list[str]:
        splits = list(self.verdicts)
        rows = [[_ROWS[row], *(_spread(by.get(s)) for s in splits)] for row, by in self.ensembles.items()]
        share = ", ".join(f"{name} {weight:.2f}" for name, weight in self.member_weights.items())
        table = text_table(["ensemble", *splits], rows)
        return ["", "## Ensembles", "", *table, "", f"Weights used ({self.kind}): {share}.", ""]

    def _variants(self) -> list[str]:
        tested = "test" in self.verdicts
        head = ["members", "weights", "mean", "val fitted", "val cross-fitted", "gain"]
        head += ["test", "gain on test"] if tested else []
        shown = ("val", "val_gain", "test", "test_gain")[: 4 if tested else 2]
        rows = [
            [
                row["members"],
                row["weights"] + (" (used)" if row["used"] else ""),
                row["mean"],
                _number(row.get("val_fitted")),
                *(_with_interval(row, metric) for metric in shown),
            ]
            for row in self.rows
        ]
        lines = [
            "## Variants",
            "",
            f"With 95 % bootstrap intervals. A gain is over {self.best_member}, the best member on val; on val",
            "itself, over the best member without the video's fold. Where no model beats chance, no gain is told.",
            "Cross-fitted figures still flatter a little: each member's epoch was picked on the whole val split.",
        ]
        if self.selected:
            lines.append("What is used has the highest of them, and of several the highest flatters once more:")
            lines.append(f"the row `{CHOICE}` counts that.")
        if self.left_out:
            names = ", ".join(self.left_out)
            lines.append(f"Subsets left out, as they hold all members, fewer than two, or no weight: {names}.")
        return [*lines, "", *text_table(head, rows), ""]

    def _worth(self) -> list[str]:
        rows = [[name, _number(self.member_weights[name]), _spread(one)] for name, one in self.worth.items()]
        lines = [
            "## Members",
            "",
            "Worth: the cross-fitted val figure that is lost when the member is left out, with its 95 % bootstrap",
            "interval; empty where no model beats chance on val. One whose interval holds 0 may be worth nothing.",
            "",
        ]
        return [*lines, *text_table(["member", "weight", "worth"], rows), ""]


_SEEN = (
    "A member answers a video that it cannot see with the class prior, and its row counts that; `(seen)` is over the",
    "other videos alone. The ensemble leaves it out there, and the weights of the others are divided by their sum.",
)
_BASELINES = {"random answers": "chance", "class prior": "prior"}
_ROWS = {
    "uniform": "uniform weights",
    "used": "weights used (on val they may have been fitted to these very videos)",
    "cross-fitted": "cross-fitted: each fold with weights fitted on the others",
    "choice": "cross-fitted, and chosen anew for each fold",
}


def _is_choice(row: Row) -> bool:
    return bool(row["weights"] == CHOICE)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:z.2f}"


def _spread(one: Estimate | None) -> str:
    return f"{one.value:z.2f} ({one.low:z.2f} to {one.high:z.2f})" if one else ""


def _with_interval(row: Mapping[str, Any], metric: str) -> str:
    if row.get(metric) is None:
        return ""
    return f"{row[metric]:.2f} ({row[metric + '_low']:.2f} to {row[metric + '_high']:.2f})"
