"""Average precision of each class, and whether it suffers where train videos are few."""

from typing import Any

import numpy as np
import pandas as pd

from pipeline import metrics
from pipeline.class_stats import ClassStatistics
from pipeline.predictions.table import PredictionTable

THIRDS = ("rare", "medium", "frequent")


def precision(statistics: ClassStatistics, ensemble: PredictionTable, member: PredictionTable) -> pd.DataFrame:
    """A row a class, worst first, with the class AP of the ensemble and of a member in percent.

    Columns: class, videos (in train), positives (in the tables), ensemble, member.
    A class without a positive in the tables has no average precision and stands last.
    """
    targets = ensemble.targets()
    columns = {
        "class": ensemble.classes,
        "videos": statistics.counts,
        "positives": (targets > 0).sum(axis=0, dtype=np.int64),
        "ensemble": 100 * metrics.class_average_precision(ensemble.probabilities, targets),
        "member": 100 * metrics.class_average_precision(member.probabilities, targets),
    }
    return pd.DataFrame(columns).sort_values("ensemble", kind="stable").reset_index(drop=True)


def thirds(known: pd.DataFrame) -> list[dict[str, Any]]:
    """Mean AP of the third of the classes with the fewest train videos, of the next and of the last.

    Raises:
        ValueError: a class has no average precision.
    """
    if known["ensemble"].isna().any():
        raise ValueError("a class without a positive has no average precision; leave it out")
    parts = np.array_split(np.argsort(known["videos"].to_numpy(), kind="stable"), len(THIRDS))
    groups = ((name, known.iloc[part]) for name, part in zip(THIRDS, parts, strict=True) if len(part))
    return [
        {
            "name": name,
            "classes": len(group),
            "fewest": int(group["videos"].min()),
            "most": int(group["videos"].max()),
            "ensemble": float(group["ensemble"].mean()),
            "member": float(group["member"].mean()),
        }
        for name, group in groups
    ]


def rank_correlation(one: np.ndarray, other: np.ndarray) -> float | None:
    """Spearman's rank correlation, -1..1; None where one of them does not vary."""
    ranks = [pd.Series(values).rank().to_numpy() for values in (one, other)]
    if any(np.ptp(values) == 0 for values in ranks):
        return None
    return float(np.corrcoef(*ranks)[0, 1])
