"""How the answers of an ensemble's members become one, as stage `ensemble` chose it."""

import json
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.clips.views import PROTOCOLS
from pipeline.core import checksums
from pipeline.core.errors import UserError
from pipeline.ensemble import averaging
from pipeline.predictions.table import PredictionTable

_ANEW = "`dvc repro --force ensemble` makes both anew."


@dataclass(frozen=True)
class Fusion:
    """How the answers of members become one."""

    weights: dict[str, float | list[float]]
    """Member -> its weight, where it has any: one for all classes, or one for each."""
    mean: str
    protocol: str
    checkpoints: dict[str, str]
    """Member -> SHA-256 of the model that its weight was found with."""
    idle: dict[str, float | list[float]] = field(default_factory=dict)
    """The same as `weights` of the members with a model, but without any weight."""

    @classmethod
    def read(cls, folder: Path) -> "Fusion":
        """What stage `ensemble` chose.

        Raises:
            UserError: a file is missing or damaged, or a member has no model.
        """
        path = folder / "weights.json"
        if not path.is_file():
            raise UserError(f"{path} does not exist. `dvc repro ensemble` makes it.")
        checksums.check(path)
        table = PredictionTable.read(folder / "val.parquet")
        try:
            chosen = json.loads(path.read_text(encoding="utf-8"))
            every = dict(chosen["members"])
            checkpoints = {name: table.meta["checkpoints"][name] for name in every}
            if "classes" in chosen:
                every = {name: [float(chosen["classes"][c][name]) for c in table.classes] for name in every}
            weights = {name: every[name] for name, weight in chosen["members"].items() if weight > 0}
            idle = {
                name: every[name] for name, model in checkpoints.items() if name not in weights and model is not None
            }
            fusion = cls(weights, chosen["mean"], table.meta["protocol"], checkpoints, idle)
            known = fusion.mean in averaging.MEANS and fusion.protocol in PROTOCOLS
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise UserError(f"{path}, or the val.parquet beside it, is damaged ({error!r}). {_ANEW}") from error
        if not known or not weights:
            raise UserError(f"{path} has no weights, or a mean or protocol that is unknown. {_ANEW}")
        if lacking := [name for name in weights if checkpoints[name] is None]:
            able = [name for name in weights if name not in lacking]
            raise UserError(
                f"The ensemble holds {', '.join(lacking)}: scores of another program, without a model that could see a "
                f"new video. Ask for a member that has one ({', '.join(able) or 'none has'}), or fuse without."
            )
        return fusion
