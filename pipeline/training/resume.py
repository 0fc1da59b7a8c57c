"""The resume state of a training: where it stands, kept so that it can be stopped at any moment.

The state lies in the scratch folder under the fingerprint of the recipe, the data and the code, so that nothing else
ever goes on from it; it is written aside and renamed, and deleted when training ends.
"""

import json
import math
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from pipeline.core import files
from pipeline.core.errors import UserError
from pipeline.runtime import fingerprint

CODE = (
    *("core", "runtime", "clips", "class_stats.py", "metrics.py", "layers", "losses/_ranking.py"),
    *("pretrained", "training"),
)
"""What training runs besides the files of the model and the loss; dvc.yaml lists the same."""


@dataclass
class Progress:
    """Where a run stands: all that a resumed one needs besides tensors."""

    step: int = 0
    lr: float = 0.0
    """Of the last step."""
    best_map: float = -math.inf
    best_epoch: int = -1
    losses: list[float] = field(default_factory=list)
    """Of the steps of the epoch so far."""
    history: list[dict[str, float]] = field(default_factory=list)
    """One entry a finished epoch: loss, val_mAP, lr."""
    machines: list[dict[str, Any]] = field(default_factory=list)
    """What the run has run on: a run may be moved to other devices between two steps."""
    scaler: dict[str, float] = field(default_factory=dict)
    """Of the gradients, with fp16."""


class ResumeState:
    """The files of one training: its last state, and its best weights so far.

    Every process reads them, and the one that `writes` writes them.
    """

    def __init__(self, scratch: Path, name: str, recipe: dict[str, Any], every: float, *, writes: bool = True) -> None:
        own = f"models/{recipe['arch']}.py", f"losses/{recipe['train']['loss']['name']}.py"
        self.folder = files.folder_of(scratch / "train", name, recipe, fingerprint.code(*CODE, *own))
        self.every, self.writes = every, writes
        self.saved = time.monotonic()

    def restore(self, weights: dict[str, Tensor], optimizer: torch.optim.Optimizer) -> Progress:
        """Copy the last state into `weights` (in place) and the optimiser; a fresh Progress where there is none.

        Raises:
            UserError: the state is damaged, or a part of it is lost.
        """
        if not self.folder.is_dir():
            return Progress()
        tensors = _read(self.folder / STATE)
        kept = json.loads(bytes(tensors.pop("progress").tolist()))
        with torch.no_grad():
            for name, tensor in weights.items():
                tensor.copy_(tensors.pop(name))
        state = _unpack(kept["optimizer"], tensors)
        state["state"] = {int(number): slots for number, slots in state["state"].items()}  # JSON has no such keys
        optimizer.load_state_dict(state)
        progress = Progress(**kept["progress"])
        if progress.best_epoch >= 0:
            self.best()  # now, and not after days: is it there?
        return progress

    @property
    def due(self) -> bool:
        """Whether the last state is older than `every` seconds."""
        return time.monotonic() - self.saved > self.every

    def save(self, progress: Progress, weights: dict[str, Tensor], optimizer: torch.optim.Optimizer) -> None:
        """Write the state, all or nothing."""
        self.saved = time.monotonic()
        if not self.writes:
            return
        tensors = dict(weights)
        try:
            packed = _pack(optimizer.state_dict(), "optim", tensors)
            plain = json.dumps({"progress": vars(progress), "optimizer": packed})
        except TypeError as error:
            raise UserError(
                f"The state of {type(optimizer).__name__} cannot be saved ({error}), so training could not be resumed. "
                "Take another train.optim.name."
            ) from error
        tensors["progress"] = torch.tensor(list(plain.encode()), dtype=torch.uint8)
        self._write(STATE, tensors)

    def keep_best(self, weights: dict[str, Tensor]) -> None:
        """Keep these weights as the best."""
        if self.writes:
            self._write(BEST, weights)

    def best(self) -> dict[str, Tensor]:
        """The best weights.

        Raises:
            UserError: their file is missing or damaged.
        """
        return _read(self.folder / BEST)

    def forget(self) -> None:
        """Delete everything, at once: half of it would look like a damaged state."""
        files.remove_at_once(self.folder)

    def _write(self, name: str, tensors: dict[str, Tensor]) -> None:
        tensors = {key: tensor.detach().cpu().contiguous() for key, tensor in tensors.items()}
        try:
            if self.folder.is_dir():
                with files.aside(self.folder / name) as partial:
                    save_file(tensors, partial)
            else:  # it appears with its first file in it, so a folder without one has lost it
                with files.aside(self.folder) as folder:
                    folder.mkdir()
                    save_file(tensors, folder / name)
        except (OSError, SafetensorError) as error:
            raise UserError(
                f"The resume state {self.folder / name} cannot be written ({error}). What was saved before is intact: "
                "make room, or name another machine.scratch after moving the folder there, and start again."
            ) from error


STATE, BEST = "state.safetensors", "best.safetensors"
TENSOR, TUPLE = "<tensor>", "<tuple>"
"""Mark what JSON does not have: the name of a tensor in its place, and a list that was a tuple."""


def _pack(value: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    """`value` as JSON can hold it; the tensors in it are added to `tensors` under names that begin with `name`."""
    if isinstance(value, Tensor):
        tensors[name] = value
        return {TENSOR: name}
    if isinstance(value, dict):
        return {str(key): _pack(each, f"{name}.{key}", tensors) for key, each in value.items()}
    if isinstance(value, list | tuple):
        packed = [_pack(each, f"{name}.{index}", tensors) for index, each in enumerate(value)]
        return {TUPLE: packed} if isinstance(value, tuple) else packed
    return value


def _unpack(value: Any, tensors: dict[str, Tensor]) -> Any:
    """Undoes `_pack`."""
    if isinstance(value, dict):
        if TENSOR in value:
            return tensors[value[TENSOR]]
        if TUPLE in value:
            return tuple(_unpack(each, tensors) for each in value[TUPLE])
        return {key: _unpack(each, tensors) for key, each in value.items()}
    if isinstance(value, list):
        return [_unpack(each, tensors) for each in value]
    return value


def _read(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise UserError(
            f"The resume state {path} cannot be read ({error}). Put it back, or delete {path.parent} to start from the "
            "first step."
        ) from error
