"""Variants of an ensemble: a rule for the member weights together with a mean; and which of them is used."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Variant:
    """A rule with a mean, its member weights, and its headline metric on each val video, 0..1: float64 (V,)."""

    rule: str
    mean: str
    weights: np.ndarray
    """Member weights fitted on all of val: (M,), or (M, C) where every class has its own."""
    fold_weights: tuple[np.ndarray, ...]
    """Member weights for each fold, fitted on all other folds."""
    fitted: np.ndarray
    """Metric (V,) with `weights`, on the very videos that they are fitted to."""
    crossfit: np.ndarray
    """Metric (V,) with `fold_weights`; the same as `fitted` where nothing is fitted."""
    crossfit_loss: np.ndarray
    """Log loss (V,) with `fold_weights`, which breaks ties; zero where videos have several labels."""

    @property
    def figure(self) -> float:
        """Cross-fitted headline metric in percent, by which variants are compared."""
        return 100 * float(self.crossfit.mean())

    def quality(self, videos: np.ndarray | slice = slice(None)) -> tuple[float, float]:
        """What variants are compared by, on some videos: the cross-fitted metric, then the log loss, which is less."""
        return float(self.crossfit[videos].mean()), -float(self.crossfit_loss[videos].mean())


@dataclass(frozen=True)
class Selection:
    """Result of the comparison: the variants, and which of them is used."""

    variants: tuple[Variant, ...]
    best_member: int
    """Position of the member with the highest headline metric on val."""
    used: Variant
    crossfit: np.ndarray
    """Metric of the choice itself on each val video, float64 (V,): the variant is chosen without the video's fold."""
    crossfit_single: np.ndarray
    """Metric of the best member on each val video, float64 (V,): that which is best without the video's fold."""
    chosen: bool
    """Whether there was more than one variant to choose from."""
    lost: tuple[np.ndarray | None, ...]
    """Cross-fitted metric that the used variant loses on each val video without each member, float64 (V,), -1..1; None
    where no member, or no weight, is left without it."""
    subsets: dict[str, tuple[list[int], Variant]]
    """Name of a subset -> positions of its members, and the used rule and mean for these members alone."""

    @property
    def worth(self) -> tuple[float | None, ...]:
        """The mean of `lost`, in percent points: what each member is worth."""
        return tuple(None if lost is None else 100 * float(lost.mean()) for lost in self.lost)
