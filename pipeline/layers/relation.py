"""Temporal relations: perceptrons over the features of several frames in order.

Zhou et al.: "Temporal Relational Reasoning in Videos", ECCV 2018, arXiv:1711.08496.
"""

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn

TUPLES = 3
"""Number of tuples of frames that each scale below the whole clip looks at."""
MOST_FRAMES = 16
"""Largest number of frames T, since there are 2**T tuples to draw from."""


class Relation(nn.Module):
    """Perceptron over the features of `frames` frames side by side: ReLU -> linear -> ReLU -> linear.

    Shape: (..., `frames`, `features`) -> (..., `num_classes`).
    """

    def __init__(self, frames: int, features: int, hidden: int, num_classes: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(frames * features, hidden)
        self.classifier = nn.Linear(hidden, num_classes)

    def forward(self, features: Tensor) -> Tensor:
        """Features (..., `frames`, `features`) -> logits (..., `num_classes`)."""
        logits: Tensor = self.classifier(self.hidden(features.flatten(-2).relu()).relu())
        return logits


class MultiScaleRelation(nn.Module):
    """Sum of the relations among all T frames, among T - 1 of them, and so on down to pairs.

    Each scale has its own `Relation`; it looks at three tuples of frames, or at as many as there are (the
    largest scale is one tuple, the clip). In training, they are drawn anew at each call from torch's
    generator of the CPU, whatever the device, without replacement within a scale. In eval mode they are the
    same at every call and on every machine, so that scores repeat; the authors' code draws them anew there.

    Shape: (N, T, `features`) -> (N, `num_classes`), with T = `frames`.

    Args:
        hidden: width of each scale's perceptron.
        seed: seed of the draw for eval mode.
        tuples: the tuples of eval mode, instead of that draw: for each scale, from T down to 2, frame numbers
            from 0, ascending.
    """

    def __init__(
        self,
        frames: int,
        features: int,
        hidden: int,
        num_classes: int,
        *,
        seed: int = 0,
        tuples: Sequence[Sequence[Sequence[int]]] | None = None,
    ) -> None:
        super().__init__()
        if not 2 <= frames <= MOST_FRAMES:
            raise ValueError(
                f"frames={frames}: relations of many scales are for clips of 2 to {MOST_FRAMES} frames. "
                f"Set `frames` to such a number, or `multiscale: false`."
            )
        sizes = range(frames, 1, -1)
        self.scales = nn.ModuleList(Relation(size, features, hidden, num_classes) for size in sizes)
        self.choices = [_cpu(list(itertools.combinations(range(frames), size))) for size in sizes]
        if tuples is None:
            self.tuples = self.draw(torch.Generator().manual_seed(seed))
        else:
            self.tuples = [_checked(scale, size, frames) for scale, size in zip(tuples, sizes, strict=True)]

    def forward(self, features: Tensor) -> Tensor:
        """Features of the frames (N, T, F) -> logits (N, C)."""
        tuples = self.draw() if self.training else self.tuples
        logits = [
            relation(features[:, frames.to(features.device, non_blocking=True)]).sum(dim=1)
            for relation, frames in zip(self.scales, tuples, strict=True)
        ]
        return torch.stack(logits).sum(dim=0)

    def draw(self, generator: torch.Generator | None = None) -> list[Tensor]:
        """Tuples of frames, on the CPU: for each scale (K, size), K = 3 or as many as there are."""
        orders = [torch.randperm(len(scale), generator=generator, device="cpu") for scale in self.choices]
        return [scale[order[:TUPLES]] for scale, order in zip(self.choices, orders, strict=True)]


def _checked(tuples: Sequence[Sequence[int]], size: int, frames: int) -> Tensor:
    for numbers in tuples:
        if tuple(numbers) not in set(itertools.combinations(range(frames), size)):
            raise ValueError(f"{numbers} are not {size} ascending frame numbers from 0 to {frames - 1}.")
    return _cpu(tuples)


def _cpu(tuples: Sequence[Sequence[int]]) -> Tensor:
    # Not a buffer: these numbers are needed even while the network is built without memory ("meta").
    return torch.tensor(tuples, device="cpu")
