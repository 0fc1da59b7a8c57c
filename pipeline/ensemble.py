"""Tables + weights -> one table; and the search for the weights.

The fused probability is the weighted mean of the members' probabilities. Weights are not negative and sum to one. They
are fitted to the sample mAP of the val split itself; since that flatters, a cross-fitted figure is reported too: each
fold is fused with weights that were fitted on the other folds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pipeline import metrics
from pipeline.errors import BadInput
from pipeline.predictions import PredictionTable


@dataclass(frozen=True)
class EnsembleConfig:
    """Section `ensemble` of params.yaml."""

    members: tuple[str, ...]
    """Models to fuse; by default every model of the set."""
    protocol: Literal["clip", "dense", "multiscale"]
    """The protocol whose probabilities are fused."""
    weights: Literal["fitted", "uniform", "given"]
    given: dict[str, float] | None
    """With weights: given, the weight of each member; they are divided by their sum."""
    folds: int
    """Folds of the cross-fitted figure."""
    seed: int
    """Of the folds."""
    top: int
    """Classes a video in the submission file."""

    def __post_init__(self) -> None:
        if not self.members or len(set(self.members)) != len(self.members):
            raise ValueError("members must name at least one model, each once")
        if self.folds < 2 or self.top < 1:
            raise ValueError("folds must be at least 2 and top at least 1")
        if (self.weights == "given") != (self.given is not None):
            raise ValueError("given holds the weights with `weights: given`, and is null otherwise")
        if self.given is not None:
            if set(self.given) != set(self.members):
                raise ValueError(f"given names {sorted(self.given)}, and members are {sorted(self.members)}")
            if min(self.given.values()) < 0 or sum(self.given.values()) <= 0:
                raise ValueError("given weights must not be negative, nor all zero")


def check_members(tables: Mapping[str, PredictionTable]) -> None:
    """All members must speak of the same videos, classes and labels, in the same order.

    Raises:
        BadInput: two differ; names the member, what differs and where first.
    """
    first, *others = tables
    for other in others:
        for what in ("videos", "classes", "labels"):
            a, b = getattr(tables[first], what), getattr(tables[other], what)
            if a != b:
                place = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
                raise BadInput(
                    f"The members {first!r} and {other!r} differ in their {what}: {len(a)} against {len(b)}, first at "
                    f"position {place} ({_at(a, place)!r} against {_at(b, place)!r}). `dvc repro infer@{first} "
                    f"infer@{other}` makes both anew."
                )
        if not np.array_equal(tables[first].broken, tables[other].broken):
            raise BadInput(f"The members {first!r} and {other!r} differ in which videos are broken. `dvc repro`.")


def fuse(probabilities: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted mean: (M, V, C) and (M,) -> float32 (V, C)."""
    return np.tensordot(weights, probabilities, axes=1).astype(np.float32)


def weights_for(config: EnsembleConfig, probabilities: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """The weights (M,) that the config asks for; `probabilities` (M, V, C) and `targets` (V, C) of the val split."""
    if config.weights == "given":
        assert config.given is not None
        given = np.array([config.given[member] for member in config.members])
        return given / given.sum()
    if config.weights == "uniform":
        return _uniform(len(config.members))
    return fit_weights(probabilities, targets)


def fit_weights(probabilities: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Weights (M,) on the simplex that maximise the sample mAP of (M, V, C) probabilities.

    Coordinate ascent: weight is moved between one member and all others in steps that are halved when no move helps.
    It starts from the uniform weights and from each single member, so that it is never worse than the best of those on
    what it is fitted to. There is no chance in it: the same input gives the same weights.
    """
    members = len(probabilities)
    starts = [_uniform(members), *np.eye(members)]
    return max((_ascend(probabilities, targets, start) for start in starts), key=lambda found: found[0])[1]


def cross_fit(probabilities: np.ndarray, targets: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """Fused probabilities (V, C), each video's with weights fitted on the folds that it is not in."""
    videos = probabilities.shape[1]
    if videos < folds:
        raise BadInput(f"{videos} val videos cannot be cut into {folds} folds. Lower ensemble.folds.")
    fold = np.random.default_rng(seed).permutation(videos) % folds
    fused = np.empty(probabilities.shape[1:], dtype=np.float32)
    for number in range(folds):
        inside = fold == number
        weights = fit_weights(probabilities[:, ~inside], targets[~inside])
        fused[inside] = fuse(probabilities[:, inside], weights)
    return fused


def submission(table: PredictionTable, top: int) -> str:
    """One line a video, in manifest order: the id, then the `top` best classes with their scores."""
    count = min(top, len(table.classes))
    order = np.argsort(-table.probabilities, axis=1, kind="stable")[:, :count]
    lines = ["video," + ",".join(f"class_{i},score_{i}" for i in range(1, count + 1))]
    for video, row, scores in zip(table.videos, order, table.probabilities, strict=True):
        cells = [f"{_quoted(table.classes[i])},{scores[i]:.6f}" for i in row]
        lines.append(f"{_quoted(video)},{','.join(cells)}")
    return "\n".join(lines) + "\n"


def _ascend(probabilities: np.ndarray, targets: np.ndarray, start: np.ndarray) -> tuple[float, np.ndarray]:
    weights, step = start, 0.5
    best = metrics.sample_map(fuse(probabilities, weights), targets)
    while step > 0.01:
        moves = [_moved(weights, member, sign * step) for member in range(len(weights)) for sign in (1, -1)]
        scored = [(metrics.sample_map(fuse(probabilities, move), targets), i) for i, move in enumerate(moves)]
        score, chosen = max(scored, key=lambda pair: (pair[0], -pair[1]))
        if score > best:
            best, weights = score, moves[chosen]
        else:
            step /= 2
    return best, weights


def _moved(weights: np.ndarray, member: int, amount: float) -> np.ndarray:
    """Add `amount` to one weight, as far as 0..1 allow, and scale the others so that the sum stays 1."""
    wanted = min(max(weights[member] + amount, 0.0), 1.0)
    others = 1 - weights[member]
    if others <= 0:  # all weight lay there: share what is taken away evenly
        moved = np.full_like(weights, (1 - wanted) / max(1, len(weights) - 1))
    else:
        moved = weights * (1 - wanted) / others
    moved[member] = wanted
    return moved / moved.sum()


def _uniform(members: int) -> np.ndarray:
    return np.full(members, 1 / members)


def _at(values: Sequence[str], place: int) -> str:
    return values[place] if place < len(values) else "nothing"


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if any(c in text for c in ',"\n') else text
