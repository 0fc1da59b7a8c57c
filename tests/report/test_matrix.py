import numpy as np
import pytest
import sklearn.metrics

from pipeline.predictions.table import PredictionTable
from pipeline.report import matrix
from pipeline.report.sections import confusion_table


def table(scores: np.ndarray, labels: list[str], names: str, broken: tuple[int, ...] = ()) -> PredictionTable:
    lost = np.isin(np.arange(len(labels)), broken)
    return PredictionTable(
        tuple(f"v{n}" for n in range(len(labels))), lost, tuple(labels), tuple(names), scores.astype(np.float32), {}
    )


def dense(made: dict) -> np.ndarray:
    whole = np.diag(np.array(made["found"], float))
    for label, answer, times in made["cells"]:
        whole[label, answer] += times
    return whole


def test_of_single_labels_it_is_scikit_learns_confusion_matrix():
    rng = np.random.default_rng(0)
    label, scores = rng.integers(5, size=60), rng.random((60, 6))
    one = table(scores, ["abcdef"[n] for n in label], "abcdef", broken=(3, 7))
    seen = ~one.broken
    expected = sklearn.metrics.confusion_matrix(label[seen], scores[seen].argmax(axis=1), labels=range(6))
    made = matrix.matrix(one, confusion_table(one))
    assert made["names"] == list("abcdef")
    np.testing.assert_allclose(dense(made), expected)
    assert made["videos"] == np.bincount(label[seen], minlength=6).tolist()


def test_of_several_labels_a_row_sums_to_its_videos():
    rng = np.random.default_rng(1)
    labels = [";".join(sorted(rng.permutation(list("abcde"))[: 1 + n % 3])) for n in range(40)]
    several = table(rng.random((40, 5)), labels, "abcde")
    made = matrix.matrix(several, confusion_table(several))
    assert sum(made["found"]) < sum(made["videos"])
    np.testing.assert_allclose(dense(made).sum(axis=1), made["videos"], atol=0.1)
    for row, name in enumerate("abcde"):
        assert made["videos"][row] == sum(name in text.split(";") for text in labels)


def test_it_is_cut_to_the_busiest_classes_and_largest_cells_and_tells_so(monkeypatch: pytest.MonkeyPatch):
    labels = ["a", "a", "a", "b", "b", "c", "d"]
    answers = ["b", "b", "a", "b", "a", "a", "d"]
    scores = np.array([[float(name == answer) for name in "abcde"] for answer in answers])
    one = table(scores, labels, "abcde")
    whole = matrix.matrix(one, confusion_table(one))
    assert whole["names"] == list("abcd"), "nobody bears e or is answered with it"
    assert (whole["classes"], whole["pairs"], len(whole["cells"])) == (4, 3, 3)
    monkeypatch.setattr(matrix, "CLASSES", 2)
    monkeypatch.setattr(matrix, "CELLS", 1)
    cut = matrix.matrix(one, confusion_table(one))
    assert cut["names"] == ["a", "b"]
    assert cut["cells"] == [[0, 1, 2.0]]
    assert (cut["classes"], cut["pairs"]) == (4, 3)
