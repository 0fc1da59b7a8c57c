"""Calibration: of the scores that say 70 %, are 70 % right? Probabilities and label arrays in, numbers out.

Naeini, Cooper, Hauskrecht: "Obtaining Well Calibrated Probabilities Using Bayesian Binning", AAAI 2015, section 3
(expected calibration error, bins of equal width); Brier: "Verification of Forecasts Expressed in Terms of Probability",
1950. With several labels a video, every (video, class) is one forecast, so that most of them are rightly near zero.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Reliability:
    """Forecasts and outcomes in B bins of probability; bins without a forecast are left out."""

    predicted: np.ndarray
    """Mean probability of the forecasts, 0..1: float64 (B,)."""
    observed: np.ndarray
    """Share of the forecasts that come true, 0..1: float64 (B,)."""
    forecasts: np.ndarray
    """Number of forecasts: int64 (B,)."""
    brier: float
    """Brier score: mean squared distance of probability and truth, 0..1; 0 is perfect."""

    @property
    def error(self) -> float:
        """Expected calibration error, 0..1: the mean distance of predicted and observed, weighted by forecasts."""
        return float(np.average(np.abs(self.predicted - self.observed), weights=self.forecasts))


def bin_forecasts(probabilities: np.ndarray, targets: np.ndarray, bins: int = 10) -> Reliability:
    """Reliability of probabilities, 0..1 (V, C), given many-hot targets (V, C), in `bins` bins of equal width.

    Where a target is below 0, nobody knows what came true, and it is left out.

    Raises:
        ValueError: shapes differ, there is no forecast, or a value lies outside 0..1.
    """
    if probabilities.shape != targets.shape or not probabilities.size:
        raise ValueError(f"probabilities {probabilities.shape} and targets {targets.shape} must be of one shape, not 0")
    forecast = probabilities[targets >= 0].astype(np.float64)
    if not ((forecast >= 0) & (forecast <= 1)).all():
        raise ValueError("a probability lies outside 0..1; ranks and logits have no calibration")
    truth = targets[targets >= 0] > 0
    where = np.minimum((forecast * bins).astype(np.int64), bins - 1)  # 1 belongs to the last bin
    count = np.bincount(where, minlength=bins)
    filled = count > 0
    predicted = np.bincount(where, forecast, bins)[filled] / count[filled]
    observed = np.bincount(where, truth, bins)[filled] / count[filled]
    return Reliability(predicted, observed, count[filled], float(np.mean((forecast - truth) ** 2)))
