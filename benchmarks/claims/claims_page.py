"""The page docs/claims.md: the table of claims, the figures behind it, and what it was measured with."""

import importlib.metadata
import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from evidence import RULE, Finding, SeedEvidence
from plan import Plan

from pipeline import metrics
from pipeline.comparison.paired import Difference
from pipeline.core.markdown import text_table
from pipeline.ensemble.bootstrap import CONFIDENCE

TOOLS = ("torch", "timm", "numpy", "imageio-ffmpeg")
"""Packages whose versions a figure may depend on."""


def text(plan: Plan, evidence: Sequence[SeedEvidence], command: str, cpu_seconds: float) -> str:
    """The page, in Markdown."""
    findings = [Finding.of(claim, evidence) for claim in plan.claims]
    first = evidence[0].answers
    videos, metric = len(first.any_table.videos), metrics.TITLE[first.task]
    protocol = evidence[0].config.protocol
    note = (
        f"Differences are of {metric} on test in percent points, with their {CONFIDENCE} % intervals. Among "
        f"{len(findings)} claims and {len(plan.seeds)} seeds, some interval leaves out zero by luck."
    )
    parts = [
        "# Claims",
        _introduction(plan, metric, videos),
        "## What holds",
        "\n".join(f"* **{verdict}**: {rule}." for verdict, rule in RULE),
        "\n".join(_claims(plan, findings)),
        note,
        "## The figures",
        f"In percent, on test; of the protocol {protocol} where no other is named.",
        "\n".join(_figures(plan, evidence)),
        "## The variants",
        "\n".join(f"* `{name}`: {variant}" for name, variant in plan.variants.items()),
        "## What it was measured with",
        _made_with(command, cpu_seconds),
    ]
    return "\n\n".join(parts) + "\n"


def _introduction(plan: Plan, metric: str, videos: int) -> str:
    seeds = ", ".join(map(str, plan.seeds))
    return (
        "The claims of the challenge report, tried with small networks on the built-in corpus. What holds here need "
        "not hold at the report's size, and what does not show here may show there.\n\n"
        f"Each seed ({seeds}) draws a corpus, with {videos} test videos, and the trainings on it. Both sides of a "
        f"claim answer the same videos; the interval of their difference in {metric} is that of a paired bootstrap "
        "over videos. It tells how far other videos would move the difference, and not how far other trainings would: "
        "the seeds do. Epochs and member weights are chosen on val."
    )


def _claims(plan: Plan, findings: Sequence[Finding]) -> list[str]:
    rows = [
        [one.claim.claim, _sides(one.claim.compared), *map(_cell, (*one.seeds, one.together)), one.verdict]
        for one in findings
    ]
    return text_table(["claim", "compared", *(f"seed {seed}" for seed in plan.seeds), "all seeds", "verdict"], rows)


def _figures(plan: Plan, evidence: Sequence[SeedEvidence]) -> list[str]:
    """A row for each side of a claim and each model: its figure on every seed."""
    sides = dict.fromkeys(
        [*evidence[0].answers.views, *(side for one in plan.claims for side in (one.of, one.against))]
    )
    rows = []
    for side in sides:
        figures = [100 * float(one.shares(side).mean()) for one in evidence]
        cells = [f"{figure:.2f}" for figure in (*figures, sum(figures) / len(figures))]
        rows.append([_sides(side), *cells])
    return text_table(["", *(f"seed {seed}" for seed in plan.seeds), "mean"], rows)


def _sides(text: str) -> str:
    return text.replace("@", ", ")


def _cell(difference: Difference) -> str:
    return f"{difference.value:+z.2f} ({difference.low:z.2f} to {difference.high:z.2f})"


def _made_with(command: str, cpu_seconds: float) -> str:
    tools = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in TOOLS)
    machine = f"{_processor()}, {os.cpu_count()} cores; Python {platform.python_version()}, {tools}"
    return f"    {command}\n\n{datetime.now(UTC):%Y-%m-%d}; {machine}; {cpu_seconds / 60:.0f} CPU minutes in all."


def _processor() -> str:
    """The kind of processor, as Linux tells it."""
    file = Path("/proc/cpuinfo")
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()
