"""Section of the page on doubles: which videos are one file under several names, and whose figures that flatters."""

from typing import Any

from pipeline.core import doubles, frame_index
from pipeline.core.doubles import NO, YES
from pipeline.core.manifest import SPLITS
from pipeline.report.inputs import Inputs

SETS = 30
"""Most sets of copies that the page names."""


def section(inputs: Inputs) -> dict[str, Any]:
    """Sets of copies within and across splits, and the first of them; empty where no video that gave frames has one.

    Copies of a file that gave no frame teach nothing, and are not shown.
    """
    found = doubles.read(inputs.paths.doubles)
    seen = set(frame_index.read(inputs.paths.frames)["video"])
    found = found[found["set"].isin(found[found["video"].isin(seen)]["set"])]
    if found.empty:
        return {}
    left = found[found["dropped"] == NO]
    across = left.groupby("set")["split"].transform("nunique") > 1
    rows = [
        {"kind": kind, "sets": part["set"].nunique(), "videos": len(part), **part["split"].value_counts()}
        for kind, part in (
            ("across splits", left[across]),
            ("within a split", left[~across & left["set"].duplicated(keep=False)]),
            ("dropped", found[found["dropped"] == YES]),
        )
    ]
    held_out = left[(left["split"] == inputs.split) & across]["video"]
    sets = [its.to_dict("records") for _, its in found.groupby("set")]
    return {
        "rows": [row for row in rows if row["sets"]],
        "splits": SPLITS,
        "affected": len(held_out),
        "of": len(inputs.manifest.split(inputs.split)),
        "differ": found[found["labels_differ"] == YES]["set"].nunique(),
        "shown": sets[:SETS],
        "all": len(sets),
    }
