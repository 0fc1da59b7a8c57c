"""Probabilities or logits of another program -> the logits that prediction files hold."""

import numpy as np

from pipeline.core.errors import UserError
from pipeline.core.task import MULTI_LABEL, SINGLE_LABEL, Task

SMALLEST = 2.0**-24
"""Distance that probabilities keep from 0 and 1, so that their logits are finite. 1 - SMALLEST is the highest float32
below 1, where `averaging.scale` clips, too. At the lower end it clips at 1e-38, since small logits of our models are
exact; a 0 of another program was rounded, and should weigh as much as a 1 in a mean of logits."""
ROUNDING = 1e-6
"""Largest distance of a probability from 0..1 that counts as rounding, as in a softmax in float32."""
SMOOTHED = 0.1
"""Largest distance of a smoothed label from 0 and 1."""
MANY = 32
"""Number of scores of which the signs or values tell what they are; few may be so by chance."""
SUM_ROUNDING = 0.01
"""Largest distance from 1 of a sum of probabilities that counts as rounding, as of many classes with a few digits."""


def check_kind(values: np.ndarray, kind: str, views: int, where: str) -> str:
    """What scores (V, C) of several videos show of what they are, and a single one could not.

    Args:
        values: as the file has them: sums over `views` of each video.
        kind: probabilities or logits, as was said.
        views: number of views that was said.
        where: the file, for messages.

    Returns:
        A remark, or nothing.

    Raises:
        UserError: they are labels; they are sums over another number of views; or they are called logits, and are
            probabilities, or sums of them.
    """
    if not values.size:
        return ""
    if labels := _labels(values, kind, views):
        raise UserError(
            f"{where} holds {labels[0]:g} and {labels[1]:g} alone: labels, or decisions, and no scores. Some programs "
            "write labels in the scores' place; let yours write what its network gives."
        )
    sums, smallest, largest = values.sum(axis=1), float(values.min()), float(values.max())
    softmax = smallest >= -ROUNDING and float(np.ptp(sums)) <= SUM_ROUNDING * max(1.0, abs(float(sums.mean())))
    of = round(float(sums.mean())) if softmax and len(values) > 1 and values.shape[1] > 1 else 0
    if not of or abs(float(sums.mean()) - of) > SUM_ROUNDING * of:
        if kind == "logits":
            return _remark_on_logits(values, where)
        if views > 1 and 0 <= smallest <= largest <= 1:
            raise UserError(
                f"{where}: all scores lie in 0..1, as those of one view do, and with --views {views} none would exceed "
                f"{largest / views:.3g}. Leave --views out, or divide the sums yourself if they are any."
            )
        return ""
    if kind == "logits":
        raise UserError(
            f"{where}: each row sums to {of}, as probabilities of a softmax do{f' over {of} views' if of > 1 else ''}, "
            f"and they are called logits. Take --values probabilities{f' --views {of}' if of > 1 else ''}."
        )
    if of != views:
        raise UserError(
            f"{where}: each row sums to {of}, and with --views {views} it would be {views}: these are sums of a "
            f"softmax over {of} views. Take --views {of}."
        )
    return f"{where}: each row sums to 1, as of a softmax: the classes of a video compete for it"


def _labels(values: np.ndarray, kind: str, views: int) -> tuple[float, float] | None:
    """The two numbers of which scores consist that are labels: exact, summed over views, smoothed or clipped ones."""
    found = np.unique(values)
    for low, high in ((0, 1), (-1, 1), (0, views)):
        if np.isin(found, (low, high)).all():
            return low, high
        if len(found) == 2 and np.abs(found - (low, high)).max() <= SMOOTHED * (high - low):
            return float(found[0]), float(found[1])
    return (float(found[0]), float(found[1])) if kind == "logits" and len(found) == 2 and values.size >= MANY else None


def _remark_on_logits(values: np.ndarray, where: str) -> str:
    """What values (V, C) that are called logits show of what they are; see `check_kind`."""
    smallest, largest = float(values.min()), float(values.max())
    if 0 <= smallest <= largest <= 1:
        raise UserError(
            f"{where}: all scores lie in 0..1, as probabilities do, and they are called logits. Take --values "
            "probabilities."
        )
    if smallest >= 0 and values.size >= MANY:
        raise UserError(
            f"{where}: no score is negative, the largest is {largest:g}, and they are called logits. Sums of "
            "probabilities over views look so: take --values probabilities and --views with their number (100 for per "
            "cent). If they are logits of a softmax, take off each row's mean."
        )
    if values.shape[1] > 1 and np.abs(np.exp(np.minimum(values, 1)).sum(axis=1) - 1).max() <= SUM_ROUNDING:
        return (
            f"{where}: the exponentials of each row sum to 1, so these are logarithms of a softmax; the classes of a "
            "video compete for it"
        )
    return ""


def as_logits(values: np.ndarray, kind: str, where: str, task: Task = MULTI_LABEL) -> np.ndarray:
    """The logits float64 (C,) of scores (C,) of a kind: their sigmoid, or softmax, gives the probabilities.

    Raises:
        UserError: probabilities lie outside 0..1 by more than ROUNDING, or do not sum to 1 where each video has one
            label; or a logit is too large to be stored. `where` names the row.
    """
    low, high = values.min(), values.max()
    if kind == "logits":
        if max(-low, high) > np.finfo(np.float16).max:
            raise UserError(f"{where}: logits from {low:g} to {high:g}, and 65504 is the largest that is stored.")
        return values
    if low < -ROUNDING or high > 1 + ROUNDING:
        raise UserError(
            f"{where}: probabilities from {low:.9g} to {high:.9g}, not in 0..1. For sums over the views of a video (as "
            "PySlowFast stores them, of 30 by default), add --views and their number; for logits, --values logits."
        )
    inside = np.clip(values, SMALLEST, 1 - SMALLEST)
    if task == SINGLE_LABEL:
        if abs(values.sum() - 1) > SUM_ROUNDING:
            raise UserError(
                f"{where}: the probabilities sum to {values.sum():.6g}, not to 1, and each video has one label. Give "
                "the softmax over all classes; or logits, with --values logits."
            )
        return np.asarray(np.log(inside))
    logits: np.ndarray = np.log(inside) - np.log1p(-inside)
    return logits
