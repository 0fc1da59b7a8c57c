"""The resume state of a training: where it stands, kept so that it can be stopped at any moment.

The state lies in the scratch folder under the fingerprint of the recipe, the data and the code, so that nothing else
ever goes on from it; it is written aside and renamed, and deleted when training ends.
"""

import math
import pickle
import struct
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pipeline.core import files
from pipeline.core.errors import UserError
from pipeline.pretrained.safe_pickle import DAMAGE
from pipeline.runtime import fingerprint

CODE = (
    *("core", "runtime", "clips", "class_stats.py", "metrics.py", "chance.py", "verdict.py", "layers"),
    *("losses/_ranking.py", "losses/auto.py", "losses/bce.py", "losses/cross_entropy.py"),
    *("features.py", "pretrained", "training"),
)
"""What training runs besides the files of the model and the loss; dvc.yaml lists the same."""
STATE, BEST = "state.pt", "best.pt"


@dataclass
class TrainState:
    """Where a training stands: all that a resumed one needs besides tensors."""

    step: int = 0
    """Updates of the weights so far."""
    lr: float = 0.0
    """Learning rate of the last step."""
    best_epoch: int = -1
    """Epoch of the best validation so far, counted from 0; -1 where no score was finite."""
    steps: dict[str, list[float]] = field(default_factory=dict)
    """Figure (loss, its parts, gradient_norm) -> its values at the steps of the epoch so far."""
    history: list[dict[str, float]] = field(default_factory=list)
    """One entry a finished epoch: the means of `steps`, what `evaluate` found where there is validation, lr."""
    speeds: list[dict[str, float]] = field(default_factory=list)
    """What `speed.figures` says of each finished epoch. No result depends on it: no two runs agree."""
    machines: list[dict[str, Any]] = field(default_factory=list)
    """What the training has run on, in order: it may be moved to other devices between two steps."""
    scaler: dict[str, float] = field(default_factory=dict)
    """State of the gradient scaler of fp16; empty for other precisions."""

    def means(self) -> dict[str, float]:
        """The mean of each of `steps`, without what is not finite: the gradient of a step that fp16 left out."""
        finite = {name: [value for value in values if math.isfinite(value)] for name, values in self.steps.items()}
        return {name: float(np.mean(values)) for name, values in finite.items() if values}


class ResumeFolder:
    """The files of one training: its last state, and its best weights so far.

    Every process reads them, and the one that `writes` writes them.

    Attributes:
        lock: the file whose lock keeps other runs of the same training out.
    """

    def __init__(self, scratch: Path, name: str, recipe: dict[str, Any], every: float, *, writes: bool = True) -> None:
        own = f"models/{recipe['arch']}.py", f"losses/{recipe['train']['loss']['name']}.py"
        self.folder = files.folder_of(scratch / "train", name, recipe, fingerprint.code(*CODE, *own))
        self.lock = self.folder.with_name(f".{self.folder.name}.lock")
        self.every, self.writes = every, writes
        self.saved = time.monotonic()
        self.read_back = False

    def restore(self, weights: dict[str, Tensor], optimizer: torch.optim.Optimizer) -> TrainState:
        """Copy the last state into `weights` (in place) and the optimiser; a fresh TrainState where there is none.

        Raises:
            UserError: the state is damaged, or a part of it is lost.
        """
        if not self.folder.is_dir():
            return TrainState()
        kept = _read(self.folder / STATE)
        with torch.no_grad():
            for name, tensor in weights.items():
                tensor.copy_(kept["weights"][name])
        optimizer.load_state_dict(kept["optimizer"])
        state = TrainState(**kept["state"])
        if state.best_epoch >= 0:
            self.best()  # now, and not after days: is it there?
        return state

    @property
    def due(self) -> bool:
        """Whether the last state is older than `every` seconds."""
        return time.monotonic() - self.saved > self.every

    def save(self, state: TrainState, weights: dict[str, Tensor], optimizer: torch.optim.Optimizer) -> None:
        """Write the state, all or nothing.

        Raises:
            UserError: it cannot be written; or the optimiser keeps something that could not be read back.
        """
        self.saved = time.monotonic()
        if not self.writes:
            return
        self._write(STATE, {"state": vars(state), "weights": weights, "optimizer": optimizer.state_dict()})
        if state.step and not self.read_back:  # once, while little is lost: an optimiser may keep more than tensors
            _read(self.folder / STATE)
            self.read_back = True

    def keep_best(self, weights: dict[str, Tensor], logits: Tensor) -> None:
        """Keep these weights as the best, and what they say of the val videos."""
        if self.writes:
            self._write(BEST, {"weights": weights, "logits": logits})

    def best(self) -> tuple[dict[str, Tensor], Tensor]:
        """The best weights, and their logits (V, C) for the val videos.

        Raises:
            UserError: their file is missing or damaged.
        """
        kept = _read(self.folder / BEST)
        return kept["weights"], kept["logits"]

    def forget(self) -> None:
        """Delete everything, at once: half of it would look like a damaged state."""
        files.remove_at_once(self.folder)

    def _write(self, name: str, content: dict[str, Any]) -> None:
        try:
            if self.folder.is_dir():
                with files.aside(self.folder / name) as partial:
                    torch.save(content, partial)
            else:  # it appears with its first file in it, so a folder without one has lost it
                with files.aside(self.folder) as folder:
                    folder.mkdir()
                    torch.save(content, folder / name)
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise UserError(
                f"The state of the optimiser cannot be saved ({error}), so training could not be resumed. Take another "
                "train.optim.name."
            ) from error
        except (OSError, RuntimeError) as error:  # torch.save says the latter of a full disk
            raise UserError(
                f"The resume state {self.folder / name} cannot be written ({error}). What was saved before is intact: "
                "make room, or name another machine.scratch after moving the folder there, and start again."
            ) from error


def _read(path: Path) -> Any:
    """What `torch.save` wrote, on the CPU; nothing in the file is run."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (*DAMAGE, OSError, struct.error) as error:
        reason = str(error).rpartition("WeightsUnpickler error: ")[2].strip().partition("\n")[0]
        raise UserError(
            f"The resume state {path} cannot be read ({reason}). Put it back, or delete {path.parent} to start from "
            "the first step; where that does not help, take another train.optim.name."
        ) from error
