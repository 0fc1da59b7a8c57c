"""Confidence intervals of means over videos: the percentile bootstrap (Efron, Tibshirani 1993, chapter 13)."""

import numpy as np

CONFIDENCE = 95
"""Percent of the resamples' means that lie within an interval."""


def intervals(values: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    """Lower and upper ends (R, 2) of the 95 % intervals of R systems' mean, from one value a video: `values` (R, V).

    All systems share each resample, and the same seed and number of videos draw the same resamples. For the difference
    of two systems pass the differences video by video: what is hard for both cancels out.
    """
    rng, videos = np.random.default_rng(seed), values.shape[1]
    means = np.empty((resamples, len(values)))
    for mean in means:
        times = np.bincount(rng.integers(videos, size=videos), minlength=videos)
        mean[:] = np.einsum("rv,v->r", values, times.astype(np.float64)) / videos
    return np.percentile(means, [(100 - CONFIDENCE) / 2, (100 + CONFIDENCE) / 2], axis=0).T
