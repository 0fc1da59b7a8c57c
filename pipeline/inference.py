"""predict(): a trained model x the views of every video -> scores.

A video is read and decoded once for all its views. Broken videos are not skipped: they are answered with the prior.
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from tqdm import tqdm

from pipeline import catalog, params, predictions, views
from pipeline.checkpoint import FILE, Checkpoint
from pipeline.clips import ClipConfig, VideoViews, by_size, loader
from pipeline.errors import BadInput
from pipeline.machine import Machine
from pipeline.predictions import PredictionTable, ViewScores
from pipeline.records import Manifest
from pipeline.statistics import ClassStatistics
from pipeline.store import FrameStore
from pipeline.transforms import InputSpec, normalise
from pipeline.views import ViewConfig, ViewGrid
from pipeline.work import file_hash

log = logging.getLogger(__name__)

SPLITS = ("val", "test")
"""The splits that are predicted."""
FINAL = views.PROTOCOLS[-1]
"""The protocol of the Parquet files."""
FORWARD = 16
"""Views a forward pass; the figure changes the memory needed, and scores in the last bit only."""


class Predictor:
    """A trained model, ready to score the views of videos."""

    def __init__(self, folder: Path, config: ViewConfig, on: Machine) -> None:
        torch.set_num_threads(on.threads)
        self.on = on
        self.fabric = Fabric(accelerator=on.accelerator, devices=1)
        self.checkpoint = Checkpoint.read(folder)
        recipe = self.checkpoint.recipe
        self.clip = params.build(ClipConfig, recipe["clip"], f"{folder}: clip")
        self.grid = views.grid(self.clip.centre, config)
        self.model = self.fabric.setup_module(_rebuild(self.checkpoint, folder)).eval()
        self.meta = {"model": folder.name, "arch": recipe["arch"], "checkpoint": file_hash(folder / FILE)}

    def predict(
        self, manifest: Manifest, store: FrameStore, statistics: ClassStatistics
    ) -> tuple[PredictionTable, ViewScores]:
        """Scores of every video of `manifest` (one split): the final table, and every view."""
        if statistics.classes != self.checkpoint.classes or manifest.classes != self.checkpoint.classes:
            raise BadInput(f"Model {self.meta['model']} was trained on other classes. `dvc repro` trains it anew.")
        seen = [video in store for video in manifest.videos]
        videos = [video for video, known in zip(manifest.videos, seen, strict=True) if known]
        prior = np.log(statistics.prior) - np.log1p(-np.minimum(statistics.prior, 1 - 1e-6))
        logits = np.empty((len(manifest), len(self.grid), len(manifest.classes)), dtype=np.float16)
        logits[:] = prior
        logits[np.array(seen)] = self.score(videos, store)
        scores = ViewScores(logits, self.grid.describe())
        return predictions.table(manifest, ~np.array(seen), scores, FINAL, self.meta), scores

    def score(self, videos: list[str], store: FrameStore) -> np.ndarray:
        """The logits of every view: float16 (V, K, C)."""
        dataset = VideoViews(videos, store, self.clip.sampler, self.grid)
        pin = self.fabric.device.type == "cuda"
        data = loader(dataset, self.on.processes, pin, batch_size=None)
        logits = np.empty((len(videos), len(self.grid), len(self.checkpoint.classes)), dtype=np.float16)
        groups = by_size(self.grid)
        with torch.inference_mode():
            for row, clips in enumerate(tqdm(data, desc=f"infer {self.meta['model']}", unit="video")):
                for size, positions in groups.items():
                    logits[row, positions] = self._forward(clips[size])
        if not np.isfinite(logits).all():
            raise BadInput(f"Model {self.meta['model']} gives scores that are not finite. Train it anew at a lower lr.")
        return logits

    def _forward(self, clips: Tensor) -> np.ndarray:
        spec: InputSpec = self.checkpoint.input
        parts = [
            self.model(normalise(part.to(self.fabric.device), spec)).float().cpu() for part in clips.split(FORWARD)
        ]
        return torch.cat(parts).numpy()


def _rebuild(checkpoint: Checkpoint, folder: Path) -> nn.Module:
    """The network of a checkpoint, with its weights."""
    module = catalog.find("models", checkpoint.recipe["arch"])
    model = module.build(len(checkpoint.classes), **checkpoint.recipe["options"])
    try:
        model.load_state_dict(checkpoint.weights)
    except RuntimeError as error:
        raise BadInput(
            f"{folder / FILE} does not fit pipeline/models/{checkpoint.recipe['arch']}.py ({error}). "
            f"`dvc repro --force train@{folder.name}` trains it anew."
        ) from error
    return model


def describe(grid: ViewGrid) -> Mapping[str, Any]:
    """How many views each protocol averages."""
    return {name: len(positions) for name, positions in grid.protocols.items()}
