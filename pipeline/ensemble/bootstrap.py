"""Confidence intervals of means over videos: the percentile bootstrap (Efron, Tibshirani 1993, chapter 13)."""

import numpy as np

LEVEL = 95
"""Percent of the resamples that an interval holds."""


def intervals(values: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    """Ends (R, 2) of the 95 % intervals of the means of R systems, `values` (R, V) with one value a video.

    All systems share each resample, and the same seed and number of videos draw the same resamples. For the difference
    of two systems give the differences video by video: what both find hard cancels.
    """
    rng, videos = np.random.default_rng(seed), values.shape[1]
    means = np.empty((resamples, len(values)))
    for mean in means:
        times = np.bincount(rng.integers(videos, size=videos), minlength=videos)
        mean[:] = np.einsum("rv,v->r", values, times.astype(np.float64)) / videos
    return np.percentile(means, [(100 - LEVEL) / 2, (100 + LEVEL) / 2], axis=0).T
