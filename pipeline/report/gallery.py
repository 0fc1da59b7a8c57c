"""Gallery: examples in groups, each with its frames, a link to its file, and what every model says of it."""

from dataclasses import dataclass

from pipeline import metrics
from pipeline.predictions.table import PredictionTable
from pipeline.report import examples
from pipeline.report.examples import Example
from pipeline.report.footage import Footage
from pipeline.report.inputs import Inputs

EACH = 6
"""Most examples of the groups worst, best and disputed."""
OTHERS = 36
"""Most examples of the last group."""
ANSWERS, MEMBER_ANSWERS = 5, 3
"""Highest scores of a video that are shown, of the ensemble and of a member."""


@dataclass(frozen=True)
class Group:
    """Examples that were chosen for one reason."""

    title: str
    examples: tuple[Example, ...]


@dataclass(frozen=True)
class Gallery:
    """Section of the page."""

    groups: tuple[Group, ...]
    """Those that have an example."""
    classes: tuple[str, ...]
    """Classes that a label or an answer of an example has, in their order."""
    kinds: tuple[str, ...] = (examples.RIGHT, examples.PARTLY, examples.WRONG)
    each: int = EACH
    answers: int = ANSWERS

    @property
    def shown(self) -> list[Example]:
        """All examples, in the order of the page."""
        return [one for group in self.groups for one in group.examples]


def section(inputs: Inputs, footage: Footage) -> Gallery:
    """The worst and the best videos, those on which the members disagree, and one of each class that is not there."""
    several = len(inputs.members) > 1
    tables = {member: inputs.table(member) for member in inputs.members} if several else {}
    best, worst = examples.best_and_worst(inputs.fused, EACH)
    rows = {"Worst": worst, "Best": best}
    rows["Members disagree"] = examples.disputed(list(tables.values()), EACH, [*best, *worst])
    there = [row for chosen in rows.values() for row in chosen]
    rows["Of other classes"] = examples.of_other_classes(inputs.fused, OTHERS, there)
    made = [Group(title, _examples(inputs.fused, tables, chosen, footage)) for title, chosen in rows.items()]
    groups = tuple(group for group in made if group.examples)
    named = {name for group in groups for one in group.examples for name in one.classes}
    kinds = {one.said.kind for group in groups for one in group.examples}
    classes = tuple(name for name in inputs.fused.classes if name in named)
    return Gallery(groups, classes, tuple(kind for kind in Gallery.kinds if kind in kinds))


def _examples(
    fused: PredictionTable, tables: dict[str, PredictionTable], rows: list[int], footage: Footage
) -> tuple[Example, ...]:
    precision = metrics.average_precision(fused.probabilities[rows], fused.targets()[rows]) if rows else ()
    said = examples.opinions(fused, rows, ANSWERS)
    members = {name: examples.opinions(table, rows, MEMBER_ANSWERS) for name, table in tables.items()}
    return tuple(
        Example(
            video=(video := fused.videos[row]),
            precision=float(precision[i]),
            labels=examples.labels_of(fused, row),
            said=said[i],
            members={name: found[i] for name, found in members.items() if tables[name].seen[row]},
            strip=footage.strips.of(video),
            link=footage.links.to(video),
        )
        for i, row in enumerate(rows)
    )
