"""A trained model, rebuilt from its checkpoint: the views of videos -> logits."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import nn

from pipeline.clips.dataset import Crop, group_by_size
from pipeline.clips.inputs import read_clip
from pipeline.clips.views import ViewConfig
from pipeline.core import files, params, registry, task
from pipeline.core.errors import UserError
from pipeline.core.machine import Machine
from pipeline.layers.normalize import normalize
from pipeline.runtime import distributed
from pipeline.runtime.checkpoint import FILE, Checkpoint
from pipeline.runtime.transfer import Download

PIXELS = 1 << 24
"""Number of pixels in a forward pass where machine.views_per_pass is null: 16 views of 16 frames of 256 x 256 pixels,
which take a ResNet some gigabytes."""


Views = tuple[Mapping[int, torch.Tensor], Sequence[Crop]]
"""A video as a model sees it, or hears it: the frames of its DecodedVideo, on the device of the model, and where the K
views lie in them."""
NumberedCrop = tuple[int, Crop]
"""The number of a video among those that are scored together, and a crop of it."""


class Scores:
    """The logits of the views of videos. A GPU may still be at work on them; who reads them waits until it is done.

    Args:
        logits: of the distinct views of all V videos, float32 (D, C).
        places: of each of the K views of a video, its row there, (V, K).
    """

    def __init__(self, logits: torch.Tensor, places: Sequence[Sequence[int]]) -> None:
        self.logits, self.places = Download(logits), places

    def read(self) -> np.ndarray:
        """The logits, float16 (V, K, C)."""
        logits: np.ndarray = self.logits.read().numpy().astype(np.float16)[np.array(self.places)]
        return logits


class Predictor:
    """A trained model, ready to score the views of videos.

    Args:
        folder: holds the model's checkpoint and bears its name.

    Raises:
        UserError: the checkpoint is missing or damaged, or its weights do not fit its architecture.
    """

    def __init__(self, folder: Path, config: ViewConfig, fabric: Fabric, machine: Machine) -> None:
        self.name, self.fabric, self.machine = folder.name, fabric, machine
        self.checkpoint = Checkpoint.read(folder)
        recipe = self.checkpoint.recipe
        if lacking := [key for key in ("arch", "options", "clip") if key not in recipe]:
            raise UserError(
                f"{folder / FILE} does not say its {', '.join(lacking)}. `dvc repro train@{folder.name}` makes another."
            )
        self.clip = read_clip(recipe["clip"], f"{folder}: clip")
        self.task = task.read(recipe, f"{folder / FILE}")
        self.grid = self.clip.grid(config)
        self.network = _rebuild(self.checkpoint, folder).to(fabric.device).eval()
        if distributed.suits_channels_last(self.network, fabric):
            distributed.to_channels_last(self.network)
        gpu = fabric.device.type == "cuda"
        device = {
            "device": fabric.device.type,
            "precision": machine.precision,
            **({"tf32": machine.tf32} if gpu else {}),
            **({"decode": machine.decode} if machine.decode != "workers" and self.clip.input == "frames" else {}),
        }
        self.meta = {
            "model": self.name,
            "arch": recipe["arch"],
            "checkpoint": files.file_hash(folder / FILE),
            "machine": device,
        }

    @property
    def view_spec(self) -> Any:
        """The views that the model needs of a video, as `clip.decoded` takes them."""
        return self.clip.spec(self.grid)

    def check(self, classes: tuple[str, ...]) -> None:
        """Refuse a corpus of other classes than those that the model was trained on.

        Raises:
            UserError: the classes or their order differ.
        """
        if classes != self.checkpoint.classes:
            raise UserError(f"Model {self.name} was trained on other classes. `dvc repro` trains it anew.")

    def score(self, videos: Sequence[Views]) -> Scores:
        """The logits of the views of one video or more, which share the forward passes.

        Equal crops of a video are computed once. A GPU is asked for the logits, not waited for.

        Raises:
            UserError: a pass does not fit into the device's memory.
        """
        every = [(video, crop) for video, (_, crops) in enumerate(videos) for crop in dict.fromkeys(crops)]
        passes = self._passes(every)
        with torch.inference_mode(), self.fabric.autocast():
            logits = torch.cat([self._forward(part, videos) for part in passes])
        place_of = {view: place for place, view in enumerate(view for part in passes for view in part)}
        return Scores(logits, [[place_of[video, crop] for crop in crops] for video, (_, crops) in enumerate(videos)])

    def _passes(self, views: Sequence[NumberedCrop]) -> list[list[NumberedCrop]]:
        """The views by forward pass: of one size each, and no more than fit."""
        passes = []
        for size, places in group_by_size([crop for _, crop in views]).items():
            most = self.machine.views_per_pass or max(1, PIXELS // self.clip.size(size))
            passes += [
                [views[place] for place in places[start : start + most]] for start in range(0, len(places), most)
            ]
        return passes

    def _forward(self, views: Sequence[NumberedCrop], videos: Sequence[Views]) -> torch.Tensor:
        try:
            clips = torch.stack([crop.pixels(videos[video][0]) for video, crop in views])
            return self.answer(clips).float()
        except torch.OutOfMemoryError as error:
            raise UserError(
                f"Model {self.name}: a pass of {len(views)} views does not fit into the memory of the device. Set a "
                f"smaller machine.views_per_pass in conf/config.yaml (then `make params`). {error}"
            ) from error

    def answer(self, clips: torch.Tensor) -> torch.Tensor:
        """Logits of views as they are cut out of a video: pixels, uint8 (N, 3, T, H, W), or samples, int16 (N, S)."""
        logits: torch.Tensor = self.network(normalize(clips, self.checkpoint.input))
        return logits


def _rebuild(checkpoint: Checkpoint, folder: Path) -> nn.Module:
    """The network of a checkpoint, with its weights."""
    module = registry.find("models", checkpoint.recipe["arch"])
    options = params.options(module.build, checkpoint.recipe["options"], f"{folder / FILE}: options")
    model: nn.Module = module.build(len(checkpoint.classes), **options)
    try:
        model.load_state_dict(checkpoint.weights)
    except RuntimeError as error:
        raise UserError(
            f"{folder / FILE} does not fit pipeline/models/{checkpoint.recipe['arch']}.py ({error}). "
            f"`dvc repro --force train@{folder.name}` trains it anew."
        ) from error
    return model
