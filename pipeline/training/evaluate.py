"""The validation of one epoch: the centre clip of every val video, each once, over all processes."""

import math
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.utils.data import DataLoader

from pipeline import metrics
from pipeline.core.progress_bar import progress_bar
from pipeline.layers.normalize import InputSpec, normalize
from pipeline.runtime import distributed


def evaluate(
    network: nn.Module, spec: InputSpec, batches: DataLoader[Any], targets: np.ndarray, fabric: Fabric, title: str
) -> float:
    """Sample mAP in percent under the protocol `clip`; minus infinity where a score is not finite.

    Args:
        network: is put into eval mode.
        spec: what its weights expect of pixels.
        batches: this process' share of the val videos (`distributed.share`); views uint8 (N, 1, 3, T, H, W) by size.
        targets: many-hot labels (V, C) of all val videos.
        title: what the progress bar is called.
    """
    network.eval()
    logits = [torch.empty(0, targets.shape[1])]
    bar = progress_bar(batches, desc=title, unit="step", leave=False, disable=not fabric.is_global_zero)
    with torch.inference_mode(), fabric.autocast():
        for views in bar:
            (clips,) = views.values()  # one view, so one size
            logits.append(_logits(network, spec, clips[:, 0], fabric))
    scores = distributed.gather(torch.cat(logits), len(targets), fabric).numpy()
    return metrics.sample_map(scores, targets) if np.isfinite(scores).all() else -math.inf


def _logits(network: nn.Module, spec: InputSpec, clips: Tensor, fabric: Fabric) -> Tensor:
    logits: Tensor = network(normalize(clips.to(fabric.device), spec))
    return logits.float().cpu()
