"""Logistic regression with many more features than samples, solved to the optimum in the space that the samples span.

The weights of the optimum are a sum of the samples' features, each times a coefficient. So all that is needed of the
features is their kernel: the products of every two samples. Softmax and cross-entropy where a sample has one class,
else a sigmoid and binary cross-entropy a class.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from pipeline.core.task import SINGLE_LABEL, Task

STEPS = 100
"""Most iterations of L-BFGS for one decay; the next starts where it ended."""
RANK = 1e-9
"""Share of the largest eigenvalue of a kernel below which a direction is taken for rounding."""


def losses(logits: Tensor, targets: Tensor, task: Task) -> Tensor:
    """Cross-entropy of each sample (N,), summed over the classes, from logits and many-hot targets (N, C).

    A target below 0 is not known and costs nothing.
    """
    if task == SINGLE_LABEL:
        return F.cross_entropy(logits, targets, reduction="none")
    known = (targets >= 0).to(logits.dtype)
    return F.binary_cross_entropy_with_logits(logits, targets.clamp(min=0), weight=known, reduction="none").sum(dim=1)


def solve(kernel: Tensor, targets: Tensor, decays: Sequence[float], task: Task) -> Iterator[tuple[Tensor, Tensor]]:
    """Coefficients (N, C) and biases (C,) for each of the decays, which should fall.

    They minimise the mean of `losses` plus half the decay times the squared norm of the weights; the bias is free.

    Args:
        kernel: float64 (N, N).
        targets: many-hot, float64 (N, C).
        decays: above 0.
        task: of the targets.
    """
    values, vectors = torch.linalg.eigh(kernel)
    real = values > RANK * values[-1]
    root, vectors = values[real].sqrt(), vectors[:, real]
    samples = vectors * root  # (N, R): the same products, with as few features as there are directions
    weight = samples.new_zeros(samples.shape[1], targets.shape[1], requires_grad=True)
    bias = samples.new_zeros(targets.shape[1], requires_grad=True)
    for decay in decays:
        optimizer = torch.optim.LBFGS([weight, bias], max_iter=STEPS, line_search_fn="strong_wolfe")

        def closure(decay: float = decay, optimizer: torch.optim.Optimizer = optimizer) -> Tensor:
            optimizer.zero_grad()
            loss: Tensor = losses(samples @ weight + bias, targets, task).mean() + decay / 2 * weight.square().sum()
            loss.backward()
            return loss

        optimizer.step(closure)
        yield (vectors / root) @ weight.detach(), bias.detach().clone()
