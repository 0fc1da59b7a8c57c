import numpy as np
import pandas as pd
import pytest
import scipy.stats
from sklearn.metrics import average_precision_score

from pipeline.class_stats import ClassStatistics
from pipeline.predictions.table import PredictionTable
from pipeline.report import per_class

NAMES = ("a", "b", "never")


def table(scores) -> PredictionTable:
    labels = ("a", "b", "a;b", "a")
    return PredictionTable(("1", "2", "3", "4"), np.zeros(4, bool), labels, NAMES, np.array(scores, np.float32), {})


def test_a_row_a_class_worst_first_and_unknown_last():
    good, bad = np.array([[9, 0, 0], [0, 9, 0], [9, 9, 0], [9, 0, 0]]) / 10, np.full((4, 3), 0.5)
    bad[:, 1] = [0.9, 0.1, 0.2, 0.3]
    statistics = ClassStatistics(NAMES, np.array([5, 7, 2]), 10)
    found = per_class.precision(statistics, table(bad), table(good)).set_index("class")
    assert found.index.tolist() == ["b", "a", "never"]
    assert found.loc["b", "ensemble"] == pytest.approx(100 * average_precision_score([0, 1, 1, 0], bad[:, 1]))
    assert found.loc["a", "ensemble"] == pytest.approx(75), "all tied: the share of positives"
    assert found["member"].tolist()[:2] == [100, 100]
    assert np.isnan(found.loc["never", "ensemble"])
    assert found["videos"].tolist() == [7, 5, 2]
    assert found["positives"].tolist() == [2, 3, 0]


def known(videos, ensemble) -> pd.DataFrame:
    return pd.DataFrame({"videos": videos, "ensemble": ensemble, "member": 50.0})


def test_thirds_go_from_rare_to_frequent():
    found = per_class.thirds(known([30, 10, 20, 60, 50, 40], [3.0, 1.0, 2.0, 6.0, 5.0, 4.0]))
    assert [(t["name"], t["fewest"], t["most"], t["ensemble"]) for t in found] == [
        ("rare", 10, 20, 1.5),
        ("medium", 30, 40, 3.5),
        ("frequent", 50, 60, 5.5),
    ]


def test_two_classes_make_two_groups():
    assert [t["classes"] for t in per_class.thirds(known([1, 2], [1.0, 2.0]))] == [1, 1]


def test_a_class_without_precision_is_refused():
    with pytest.raises(ValueError, match="leave it out"):
        per_class.thirds(known([1, 2], [1.0, np.nan]))


def test_the_rank_correlation_is_scipys_and_none_where_nothing_varies():
    one, other = np.array([1, 5, 5, 9, 2]), np.array([0.1, 0.4, 0.3, 0.3, 0.9])
    assert per_class.rank_correlation(one, other) == pytest.approx(scipy.stats.spearmanr(one, other).statistic)
    assert per_class.rank_correlation(one, np.ones(5)) is None
