"""Data that the page's script reads: the classes that open, frames and files of their videos, and the matrix."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from pipeline.report import class_detail
from pipeline.report.footage import Footage
from pipeline.report.gallery import Gallery
from pipeline.report.inputs import Inputs
from pipeline.report.matrix import matrix
from pipeline.report.sections import CAPS


def embedded(inputs: Inputs, gallery: Gallery, footage: Footage, confusions: pd.DataFrame) -> dict[str, Any]:
    """Plain values: those of `class_detail.details`, and what the videos that they name look like.

    Returns:
        Besides the details, "strips" (video -> data URL, empty where it has no frames; videos beyond the budget are not
        there, and those of the gallery have theirs there), "megabytes" (the budget), "base" and "files" (`VideoLinks`),
        and "matrix" (`matrix.matrix`, from the table `confusions`).
    """
    details = class_detail.details(inputs.fused, CAPS["opened"])
    there = [one.video for one in gallery.shown]
    videos = list(dict.fromkeys([*there, *in_turn(details["classes"])]))
    found = {video: footage.strips.of(video) for video in videos if video not in there}
    return {
        **details,
        "strips": {video: strip for video, strip in found.items() if strip is not None},
        "megabytes": footage.config.strips_megabytes,
        "base": footage.links.base,
        "matrix": matrix(inputs.fused, confusions),
        "files": footage.links.some(videos),
    }


def in_turn(classes: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Videos that `class_detail.details` lists: the first miss and false alarm of each class, then the second ones."""
    for place in range(class_detail.LISTED):
        for one in classes.values():
            for rows in (one["missed"], one["alarms"]):
                yield from (row[0] for row in rows[place : place + 1])
