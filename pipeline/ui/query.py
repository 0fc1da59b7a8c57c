"""A question to the catalogue: which videos are wanted, in which order. It stands in the address of a page."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from urllib.parse import urlencode

import numpy as np
import pyarrow.compute as pc

from pipeline.core import params
from pipeline.core.errors import UserError
from pipeline.core.manifest import SPLITS
from pipeline.ui.catalogue import Catalogue, Model

CHOICES = {
    "split": SPLITS,
    "outcome": ("right", "wrong"),
    "marked": ("yes", "no"),
    "sort": ("label", "confident", "unsure", "apart"),
}
"""What a field may be besides empty, which leaves it open."""
STATUS = ("ok", "broken")
"""What a status may be, besides a reason of broken.tsv."""
PAGE = 48
"""Videos of a page."""
LONGEST = 500
"""Characters of a field."""


@dataclass(frozen=True)
class Query:
    """Filters that a video passes all of; an empty text asks for nothing."""

    name: str = ""
    """A part of the id, in small or capital letters."""
    label: str = ""
    """A class that is a label of the video."""
    split: str = ""
    status: str = ""
    """One of `STATUS`, or why the video is broken."""
    model: str = ""
    """Whose answers count for the fields below; empty: the first model's."""
    answer: str = ""
    """The class with the highest score."""
    outcome: str = ""
    """Whether the class with the highest score is a label; neither where nobody said whether the video shows it."""
    of: str = ""
    """The class whose score lies between the next two; empty: the highest score, whatever the class."""
    low: str = ""
    """Lowest score, 0..1."""
    high: str = ""
    """Highest score, 0..1."""
    apart: str = ""
    """How far the members lie apart at least, 0..1."""
    marked: str = ""
    sort: str = ""
    """The first are those whose lowest label has the lowest score (label), whose score is the highest (confident) or
    lowest (unsure), on which the members lie furthest apart (apart); empty: the order of the manifest."""

    @classmethod
    def of_address(cls, given: Mapping[str, str], catalogue: Catalogue) -> "Query":
        """The question of an address; fields of other names are left alone.

        Raises:
            UserError: a field is too long, or none of what it may be.
        """
        said = {one.name: given.get(one.name, "").strip() for one in fields(cls)}
        own = {"model": tuple(catalogue.models), "status": (*STATUS, *catalogue.reasons)}
        classes = dict.fromkeys(("label", "answer", "of"), catalogue.classes)
        for field, value in said.items():
            if len(value) > LONGEST:
                raise UserError(f"{field} is longer than {LONGEST} characters.")
            known = (CHOICES | own | classes).get(field)
            if value and known is not None and value not in known:
                raise UserError(f"{field}: there is no {value!r}.{params.hint(value, known)}")
            if value and field in ("low", "high", "apart"):
                _share(field, value)
        return cls(**said)

    def address(self, **more: object) -> str:
        """The query of an address that asks this, and more."""
        mine = {one.name: getattr(self, one.name) for one in fields(self)} | more
        return urlencode({name: value for name, value in mine.items() if value not in ("", None)})

    def rows(self, catalogue: Catalogue, marked: np.ndarray) -> np.ndarray:
        """The videos that pass, in order: int (F,).

        Args:
            marked: bool (V,), the videos that bear a mark.
        """
        model = catalogue.models[self.model or next(iter(catalogue.models))]
        keep = self._of_videos(catalogue, marked) & self._of_answers(catalogue, model)
        if self.apart:
            keep &= catalogue.apart >= _share("apart", self.apart)
        score = self._score(catalogue, model)
        if self.low:
            keep &= score >= _share("low", self.low)
        if self.high:
            keep &= score <= _share("high", self.high)
        found = np.flatnonzero(keep)
        if not self.sort:
            return found
        by = {"label": model.lowest_label, "confident": -score, "unsure": score, "apart": -catalogue.apart}[self.sort]
        return found[np.argsort(by[found], kind="stable")]  # NaN, which is no answer, comes last

    def _of_videos(self, catalogue: Catalogue, marked: np.ndarray) -> np.ndarray:
        keep = np.ones(len(catalogue), bool)
        if self.name:
            keep &= pc.match_substring(catalogue.small_letters, self.name.lower()).to_numpy(zero_copy_only=False)
        if self.label:
            keep &= catalogue.labels.have(catalogue.classes.index(self.label))
        if self.split:
            keep &= catalogue.split == SPLITS.index(self.split)
        if self.status in STATUS:
            keep &= catalogue.is_broken == (self.status == "broken")
        elif self.status:
            of_reason = [video for video, one in catalogue.broken.items() if one.reason == self.status]
            keep &= np.isin(np.arange(len(catalogue)), of_reason)
        if self.marked:
            keep &= marked == (self.marked == "yes")
        return keep

    def _of_answers(self, catalogue: Catalogue, model: Model) -> np.ndarray:
        keep = np.ones(len(catalogue), bool)
        if self.answer:
            keep &= model.best == catalogue.classes.index(self.answer)
        if self.outcome:
            known = catalogue.labelled & ~np.isnan(model.highest) & ~model.unjudged
            keep &= known & (model.right == (self.outcome == "right"))
        return keep

    def _score(self, catalogue: Catalogue, model: Model) -> np.ndarray:
        if not self.of:
            return model.highest
        return catalogue.scores_of(model.answers.model, catalogue.classes.index(self.of))


def _share(field: str, text: str) -> float:
    """A number in 0..1."""
    try:
        value = float(text)
    except ValueError:
        value = np.nan
    if not 0 <= value <= 1:
        raise UserError(f"{field}: {text!r} is no number in 0..1.")
    return value
