"""Member weights where each video has one label, against scikit-learn's loss and SciPy's minimiser."""

import numpy as np
import pytest
import scipy.optimize
import scipy.special
import sklearn.metrics

from pipeline.core.errors import UserError
from pipeline.core.task import SINGLE_LABEL
from pipeline.ensemble import averaging, cross_validate, log_loss
from tests.ensemble.test_noise import SETTINGS, EnsembleConfig


def members(seed: int, videos: int = 80, classes: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Three members of unequal knowledge, float32 (3, V, C), and one-hot labels."""
    rng = np.random.default_rng(seed)
    targets = np.eye(classes, dtype=np.uint8)[rng.integers(classes, size=videos)]
    logits = rng.normal(size=(3, videos, classes)) + np.array([2, 1, 0])[:, None, None] * targets
    return scipy.special.softmax(logits, axis=2).astype(np.float32), targets


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("mean", ["probability", "logit"])
def test_the_weights_are_those_of_a_general_minimiser(seed, mean):
    probabilities, targets = members(seed)

    def loss(weights: np.ndarray) -> float:
        if mean == "probability":
            fused = np.tensordot(weights, probabilities.astype(float), axes=1)
        else:
            fused = scipy.special.softmax(np.tensordot(weights, np.log(probabilities.astype(float)), axes=1), axis=1)
        return sklearn.metrics.log_loss(
            targets.argmax(axis=1), fused / fused.sum(axis=1, keepdims=True), labels=range(5)
        )

    one = {"type": "eq", "fun": lambda w: w.sum() - 1}
    best = scipy.optimize.minimize(loss, [1 / 3] * 3, bounds=[(0, 1)] * 3, constraints=[one], method="SLSQP")
    found = log_loss.fit(averaging.scale(probabilities, mean, SINGLE_LABEL), targets, mean)
    assert found.sum() == pytest.approx(1)
    assert loss(found) <= best.fun + 1e-3
    fused = averaging.fuse(averaging.scale(probabilities, mean, SINGLE_LABEL), found, mean, SINGLE_LABEL)
    assert fused.sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert log_loss.log_loss(fused, targets).mean() == pytest.approx(loss(found), abs=1e-5)


def config(**changes) -> EnsembleConfig:
    return EnsembleConfig(**(SETTINGS | {"members": ("a", "b", "c")} | changes))


@pytest.mark.parametrize(("setting", "value"), [("weights", "per_class"), ("mean", "rank")])
def test_what_makes_no_sense_for_one_label_is_refused(setting, value):
    with pytest.raises(UserError, match=f"ensemble.{setting}: {value} is for several labels"):
        cross_validate.select(config(**{setting: value}), *members(0), SINGLE_LABEL)


def test_the_choice_of_a_fold_does_not_see_the_fold():
    """Each fold has the variant that is best on the others, whatever it gives on the fold itself."""
    selection = cross_validate.select(config(), *members(1), SINGLE_LABEL)
    fold_of = np.random.default_rng(0).permutation(80) % 5
    assert {v.rule for v in selection.variants} == {"uniform", "single", "fitted", "greedy"}
    for fold in range(5):
        others = fold_of != fold
        best = max(selection.variants, key=lambda v: (v.crossfit[others].mean(), -v.crossfit_loss[others].mean()))
        assert selection.crossfit[~others].tolist() == best.crossfit[~others].tolist()
    quality = [(v.crossfit.mean(), -v.crossfit_loss.mean()) for v in selection.variants]
    assert selection.used is selection.variants[quality.index(max(quality))]
