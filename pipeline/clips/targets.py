"""The labels of videos as a network is taught them."""

import numpy as np
import torch
from torch import Tensor

from pipeline.core.manifest import Manifest


class Targets:
    """Many-hot labels, float32 (C,), -1 where one is not known, of the videos of a manifest by their positions."""

    def __init__(self, manifest: Manifest) -> None:
        self.classes = len(manifest.classes)
        self._shown = _ByVideo(len(manifest), *manifest.label_pairs())
        self._unknown = _ByVideo(len(manifest), *manifest.unknown_pairs())

    def __getitem__(self, position: int) -> Tensor:
        """Those of one video."""
        labels = torch.zeros(self.classes)
        labels[self._shown[position]] = 1
        labels[self._unknown[position]] = -1
        return labels


class _ByVideo:
    """Class numbers (L,) of each of V videos, from the video and class number of all labels."""

    def __init__(self, videos: int, row: np.ndarray, columns: np.ndarray) -> None:
        self.columns, self.ends = columns, np.cumsum(np.bincount(row, minlength=videos))

    def __getitem__(self, position: int) -> np.ndarray:
        """The numbers of one video."""
        return self.columns[self.ends[position - 1] if position else 0 : self.ends[position]]
