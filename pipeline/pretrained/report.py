"""Report about a file that was loaded into a model."""

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.layers.log_mel import MelSpec
from pipeline.layers.normalize import InputSpec
from pipeline.pretrained import infer_config


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
    named: str = ""
    """What became of the classes by their names, in words."""

    @property
    def classifier_replaced(self) -> bool:
        """Whether the classifier is a fresh one."""
        return any(infer_config.is_classifier(name) for names in self.kept.values() for name in names)

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
        told = f"mean {self.input.mean}, std {self.input.std}" if self.input else "not told by the file"
        return "\n".join([*lines, f"  input       {told}", f"  sha256      {self.sha256}"])
