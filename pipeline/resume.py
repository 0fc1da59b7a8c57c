"""The resume state of a training: where it stands, kept so that it can be stopped at any moment.

The state lies in the scratch folder under the fingerprint of the recipe, the data and the code, so that nothing else
ever goes on from it; it is written aside and renamed, and deleted when training ends.
"""

import json
import math
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from pipeline import work
from pipeline.errors import BadInput


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


class ResumeState:
    """The files of one training: its last state, and its best weights so far."""

    def __init__(self, scratch: Path, name: str, recipe: dict[str, Any], every: float) -> None:
        self.folder = scratch / "train" / f"{name}-{work.fingerprint(recipe, _code())}"
        self.every = every
        self.saved = time.monotonic()

    def restore(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> Progress:
        """Load the last state into model and optimiser; a fresh Progress where there is none.

        Raises:
            BadInput: the state is damaged.
        """
        state = self.folder / "state.safetensors"
        if not state.is_file():
            return Progress()
        tensors = _read(state)
        model.load_state_dict({k.removeprefix("model."): v for k, v in tensors.items() if k.startswith("model.")})
        whole = optimizer.state_dict()
        for key, tensor in tensors.items():
            if key.startswith("optim."):
                _, index, name = key.split(".", 2)
                whole["state"].setdefault(int(index), {})[name] = tensor
        optimizer.load_state_dict(whole)
        return Progress(**json.loads(bytes(tensors["progress"].tolist())))

    def save(self, progress: Progress, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        """Write the state, all or nothing."""
        tensors = {f"model.{name}": tensor for name, tensor in _weights(model).items()}
        for index, slots in optimizer.state_dict()["state"].items():
            tensors |= {f"optim.{index}.{name}": t.cpu() for name, t in slots.items() if t is not None}
        tensors["progress"] = torch.tensor(list(json.dumps(vars(progress)).encode()), dtype=torch.uint8)
        with work.aside(self.folder / "state.safetensors") as partial:
            save_file(tensors, partial)
        self.saved = time.monotonic()

    def save_now_and_then(self, progress: Progress, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        """Write the state if the last is older than `every` seconds."""
        if time.monotonic() - self.saved > self.every:
            self.save(progress, model, optimizer)

    def keep_best(self, model: nn.Module) -> None:
        """Keep the present weights as the best."""
        with work.aside(self.folder / "best.safetensors") as partial:
            save_file(_weights(model), partial)

    def best(self) -> dict[str, Tensor]:
        """The best weights.

        Raises:
            BadInput: their file is missing or damaged.
        """
        return _read(self.folder / "best.safetensors")

    def forget(self) -> None:
        """Delete everything."""
        work.remove(self.folder)


def _weights(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}


def _read(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise BadInput(
            f"The resume state {path} cannot be read ({error}). Delete {path.parent} to start from the first step."
        ) from error


def _code() -> str:
    """A hash of the pipeline's code that this process runs: another code never resumes an old state."""
    files = {
        name: work.file_hash(Path(module.__file__))
        for name, module in sorted(sys.modules.items())
        if name.startswith("pipeline.") and module.__file__
    }
    return work.fingerprint(files)
