"""The evaluation of one epoch: the centre clip of some videos, each once, over all processes.

The epoch whose headline metric is highest is the best one. Top-1 accuracy takes few values on a small split, so where
each video has one label, the lower cross-entropy decides between epochs that are equal in it.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

from pipeline import metrics
from pipeline.core.manifest import Manifest
from pipeline.core.progress_bar import progress_bar
from pipeline.core.task import MULTI_LABEL, Task
from pipeline.layers.log_mel import MelSpec
from pipeline.layers.normalize import InputSpec, normalize
from pipeline.runtime import distributed
from pipeline.runtime.transfer import Upload

CROSS_ENTROPY = "cross_entropy"


def evaluate(
    network: nn.Module, spec: InputSpec | MelSpec, batches: DataLoader[Any], targets: np.ndarray, fabric: Fabric,
    title: str, task: Task = MULTI_LABEL, split: str = "val",
) -> tuple[dict[str, float], Tensor]:  # fmt: skip
    """Name -> the headline metric in percent under the protocol `clip`; minus infinity where a score is not finite.

    Where each video has one label, it comes with the mean cross-entropy, in nats, without scale or weights. The logits
    (V, C) of all videos come beside it. No random number is drawn, and nothing of the network changes but its mode.

    Args:
        network: is put into eval mode.
        spec: what its weights expect of pixels, or of sound.
        batches: this process' share of the videos (`distributed.share`); views uint8 (N, 1, 3, T, H, W), or int16
            (N, 1, S), by size.
        targets: many-hot labels (V, C) of all videos.
        title: what the progress bar is called.
        task: what the logits are of.
        split: what the names begin with.
    """
    network.eval()
    upload, logits = Upload(fabric.device), [torch.empty(0, targets.shape[1], device=fabric.device)]
    bar = progress_bar(batches, desc=title, unit="step", leave=False, disable=not fabric.is_global_zero)
    with torch.inference_mode(), fabric.autocast():
        for views in bar:
            (clips,) = views.values()  # one view, so one size
            logits.append(network(normalize(upload(clips[:, 0]), spec)).float())
    gathered = distributed.gather(torch.cat(logits).cpu(), len(targets), fabric)
    scores = gathered.numpy()
    finite = bool(np.isfinite(scores).all())
    found = {key(task, split): metrics.headline(task, scores, targets) if finite else -math.inf}
    if task == MULTI_LABEL:
        return found, gathered
    loss = F.cross_entropy(gathered.double(), torch.from_numpy(targets.argmax(axis=1)))
    return {**found, f"{split}_{CROSS_ENTROPY}": float(loss) if finite else math.inf}, gathered


def sample(train: Manifest, most: int) -> Manifest:
    """At most so many of the train videos: the same in every epoch, and in every training on them."""
    others = np.random.default_rng(0).permutation(len(train))[most:]
    return train.without(np.array(train.videos, dtype=object)[others])


def key(task: Task, split: str = "val") -> str:
    """The name of a validation's headline metric: val_mAP, or val_top1."""
    return f"{split}_{metrics.HEADLINE[task]}"


def best(history: Sequence[Mapping[str, float]], task: Task) -> int:
    """The first of the best epochs, counted from 0; -1 where none has a finite score."""
    order = [(row[key(task)], -row.get(f"val_{CROSS_ENTROPY}", 0.0)) for row in history]
    finite = [number for number, (score, _) in enumerate(order) if math.isfinite(score)]
    return max(finite, key=lambda number: order[number], default=-1)
