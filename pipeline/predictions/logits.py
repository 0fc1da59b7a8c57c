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
        UserError: they hold 0 and 1 alone, as they are, as -1 and 1, or summed over the views; they are sums over
            another number of views; or they are called logits, and all lie in 0..1, or are the probabilities of a
            softmax.
    """
    if not values.size:
        return ""
    for low, high in ((0, 1), (-1, 1), (0, views)):
        if not np.isin(values, (low, high)).all():
            continue
        raise UserError(
            f"{where} holds {low} and {high} alone: labels, or decisions, and no scores. Some programs write "
            "labels in the scores' place; let yours write what its network gives."
        )
    sums = values.sum(axis=1)
    softmax = values.min() >= -ROUNDING and float(np.ptp(sums)) <= SUM_ROUNDING * max(1.0, abs(float(sums.mean())))
    of = round(float(sums.mean())) if softmax and len(values) > 1 and values.shape[1] > 1 else 0
    if not of or abs(float(sums.mean()) - of) > SUM_ROUNDING * of:
        if kind == "logits" and 0 <= values.min() <= values.max() <= 1:
            raise UserError(
                f"{where}: all scores lie in 0..1, as probabilities do, and they are called logits. Take --values "
                "probabilities."
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
