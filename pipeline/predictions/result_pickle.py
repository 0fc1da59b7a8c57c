"""Result pickles of other programs: scores of videos by classes, without the names of either.

Three layouts are read: a list of score vectors (mmaction2 0.x, `--out`), a list of samples with `pred_score` or
`pred_scores` (mmaction2 1.x, `--dump`), and a pair of scores and labels (PySlowFast, TEST.SAVE_RESULTS_PATH, whose
scores are sums over the views where DATA.ENSEMBLE_METHOD is "sum").
"""

import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pipeline.core.errors import UserError
from pipeline.pretrained import safe_pickle


def read(path: Path) -> np.ndarray:
    """The scores in a pickle, float64 (V, C), unchanged. No code in the file is run.

    Raises:
        UserError: the file is missing or damaged, asks for more than arrays and tensors, or has another layout.
    """
    content = rows = safe_pickle.load_arrays(path, TENSORS)
    if _is_pyslowfast(content):
        rows, labels = content
        if np.shape(rows) == np.shape(labels) and np.array_equal(rows, labels):
            raise UserError(
                f"{path}: its scores are its labels, number by number. The test loop of some versions of PySlowFast "
                "writes the labels twice; mend it there, and test again."
            )
    elif isinstance(content, list) and content and all(isinstance(sample, dict) for sample in content):
        rows = [_of_sample(path, number, sample) for number, sample in enumerate(content)]
    try:
        values = np.asarray(rows)
    except (ValueError, TypeError) as error:
        raise UserError(f"{path} holds no list of score vectors of one length ({error}).") from error
    if values.dtype.kind not in "biuf":
        raise UserError(f"{path} holds {values.dtype} and no real numbers.")
    if values.ndim != 2:
        raise UserError(f"{path} holds an array of shape {values.shape}, not (videos, classes).")
    return values.astype(np.float64)


def _is_pyslowfast(content: Any) -> bool:
    """Whether it is a pair of scores (V, C) and labels, which are many-hot (V, C) or one class for each video (V,)."""
    if not isinstance(content, (list, tuple)) or len(content) != 2:
        return False
    scores, labels = content
    arrays = isinstance(scores, np.ndarray) and isinstance(labels, np.ndarray)
    return arrays and scores.ndim == 2 and labels.ndim in (1, 2) and len(labels) == len(scores)


def _of_sample(path: Path, number: int, sample: Mapping[str, Any]) -> Any:
    scores = sample.get("pred_score", sample.get("pred_scores"))
    if isinstance(scores, dict):  # mmaction2 1.0: {"item": scores}
        scores = scores.get("item")
    if scores is None:
        raise UserError(f"{path}: sample {number} has no pred_score, only {', '.join(map(str, sample)) or 'nothing'}.")
    return scores


def _storage(data: bytes) -> Any:
    return torch.load(io.BytesIO(data), "cpu", weights_only=True)


def _tensor(storage: Any, offset: int, size: Sequence[int], stride: Sequence[int], *_: Any) -> np.ndarray:
    if math.prod(size) > storage.size():  # a few bytes can stand for a tensor that no memory holds
        raise safe_pickle.Refused("a tensor that is larger than its data")
    made: torch.Tensor = torch._utils._rebuild_tensor_v2(storage, offset, tuple(size), tuple(stride), False, {})  # noqa: SLF001
    return (made.double() if made.is_floating_point() else made).numpy()  # NumPy has no bfloat16


TENSORS = {
    "torch._utils._rebuild_tensor_v2": safe_pickle.Maker(_tensor),
    "torch.storage._load_from_bytes": safe_pickle.Maker(_storage),
}
"""Makers of tensors, for the names that PyTorch writes into a pickle for a tensor."""
