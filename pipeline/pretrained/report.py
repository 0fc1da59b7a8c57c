"""Report about a file that was loaded into a model."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.layers.log_mel import MelSpec
from pipeline.layers.normalize import InputSpec
from pipeline.pretrained import infer_config

_NON_COMMERCIAL = re.compile(r"\bnc\b|non-?commercial", re.IGNORECASE)


def in_words(licence: str) -> str:
    """A licence of weights, which says aloud that it excludes commercial use where it does."""
    return licence + (" - NON-COMMERCIAL, and so is what is trained from them" * bool(_NON_COMMERCIAL.search(licence)))


@dataclass(frozen=True)
class Report:
    """What was loaded, and what was not."""

    where: str
    """Path of the file, or library and name."""
    source: str
    """Name of the importer."""
    container: str
    """Key of the file under which the tensors were, and wrappers whose prefixes were taken off, in words."""
    entries: int
    """Number of entries of the model that were loaded."""
    file_classes: int | None
    """Number of classes in the file; None where it has no classifier, or several that do not agree."""
    model_classes: int | None
    """Number of classes of the model."""
    kept: Mapping[str, tuple[str, ...]]
    """Reason -> entries of the model that stayed at their start."""
    inflated: tuple[str, ...]
    """Convolutions of an image network that were repeated along time."""
    input: InputSpec | MelSpec | None
    """Input that the weights expect; None where nothing tells."""
    sha256: str
    """SHA-256 of the file."""
    averaged: tuple[str, ...] = ()
    """First convolutions of red, green and blue that became one of other images by their mean over the three."""
    named: str = ""
    """What became of the classes by their names, in words."""
    unused: tuple[str, ...] = ()
    """Entries of the file that the model has no place for: parts of its pretraining, or a head in place of its own."""
    licence: str = ""
    """Licence of the weights, as their source states it."""

    @property
    def classifier_replaced(self) -> bool:
        """Whether the classifier is a fresh one."""
        return any(infer_config.is_classifier(name) for names in self.kept.values() for name in names)

    def of_recipe(self) -> dict[str, Any]:
        """What a recipe says of the weights that a training started from."""
        said = {"pretrained": {"source": self.source, "sha256": self.sha256}}
        return said | ({"licence": self.licence} if self.licence else {})

    def __str__(self) -> str:
        """Text of a few lines for a person."""
        fate = "stays fresh" if self.classifier_replaced else "loaded"
        counts = f"{self.file_classes or 'no'} classes in the file, {self.model_classes} in the model"
        lines = [
            f"{self.where}: {self.source} ({self.container})",
            f"  loaded      {self.entries} entries",
            f"  classifier  {fate}: {counts}",
            *([f"  classes     {self.named}"] if self.named else []),
            *(f"  at start    {infer_config.in_words(names)} ({why})" for why, names in self.kept.items()),
        ]
        if self.inflated:
            lines.append(f"  inflated    {len(self.inflated)} convolutions: repeated along time, divided by its length")
        if self.averaged:
            lines.append(
                f"  first layer {', '.join(self.averaged)}: its mean over red, green and blue, for each channel"
            )
        if self.unused:
            lines.append(
                f"  unused      {len(self.unused)} entries of its pretraining or its head: {self.unused[0]}, ..."
            )
        if self.licence:
            lines.append(f"  licence     {in_words(self.licence)}")
        told = f"mean {self.input.mean}, std {self.input.std}" if self.input else "not told by the file"
        return "\n".join([*lines, f"  input       {told}", f"  sha256      {self.sha256}"])
