import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from pipeline.core.task import MULTI_LABEL, SINGLE_LABEL
from pipeline.training import logistic

DECAYS = (1.0, 0.1, 0.01)


@pytest.fixture
def samples() -> tuple[np.ndarray, np.ndarray]:
    """More features (40) than samples (30) of three classes, which overlap."""
    rng = np.random.default_rng(0)
    labels = np.arange(30) % 3
    return rng.normal(0, 1, (30, 40)) + labels[:, None] * 0.3, labels


def weights(values: np.ndarray, targets: np.ndarray, task) -> list[tuple[np.ndarray, np.ndarray]]:
    features = torch.from_numpy(values)
    solved = logistic.solve(features @ features.T, torch.from_numpy(targets).double(), DECAYS, task)
    return [((coefficients.T @ features).numpy(), bias.numpy()) for coefficients, bias in solved]


def test_one_label_has_the_optimum_of_scikit_learn(samples):
    values, labels = samples
    for decay, (weight, bias) in zip(DECAYS, weights(values, np.eye(3)[labels], SINGLE_LABEL), strict=True):
        oracle = LogisticRegression(C=1 / (decay * len(labels)), tol=1e-10, max_iter=10_000).fit(values, labels)
        np.testing.assert_allclose(weight, oracle.coef_, atol=2e-3)
        ours, theirs = bias - bias.mean(), oracle.intercept_ - oracle.intercept_.mean()  # softmax sees no constant
        np.testing.assert_allclose(ours, theirs, atol=5e-3)


def test_several_labels_have_the_optimum_of_scikit_learn_class_by_class(samples):
    values, labels = samples
    targets = np.stack([labels == 0, labels != 1], axis=1).astype(float)
    for decay, (weight, bias) in zip(DECAYS, weights(values, targets, MULTI_LABEL), strict=True):
        for number in range(2):
            oracle = LogisticRegression(C=1 / (decay * len(labels)), tol=1e-10, max_iter=10_000)
            oracle.fit(values, targets[:, number])
            np.testing.assert_allclose(weight[number], oracle.coef_[0], atol=2e-3)
            np.testing.assert_allclose(bias[number], oracle.intercept_[0], atol=5e-3)


def test_losses_are_of_each_sample_and_summed_over_the_classes():
    logits, targets = torch.tensor([[0.0, 0.0], [2.0, 0.0]]), torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    assert logistic.losses(logits, targets, SINGLE_LABEL).tolist() == pytest.approx([np.log(2), np.log1p(np.exp(2))])
    assert logistic.losses(logits, targets, MULTI_LABEL).tolist() == pytest.approx(
        [2 * np.log(2), np.log1p(np.exp(2)) + np.log(2)]
    )


def test_labels_that_are_not_known_leave_the_optimum_to_the_others(samples):
    values, labels = samples
    targets = np.stack([labels == 0, labels != 1], axis=1).astype(float)
    targets[3:15, 0], targets[10:20, 1] = -1, -1
    for decay, (weight, bias) in zip(DECAYS, weights(values, targets, MULTI_LABEL), strict=True):
        for number in range(2):
            known = targets[:, number] >= 0
            oracle = LogisticRegression(C=1 / (decay * len(labels)), tol=1e-10, max_iter=10_000)
            oracle.fit(values[known], targets[known, number])
            np.testing.assert_allclose(weight[number], oracle.coef_[0], atol=2e-3)
            np.testing.assert_allclose(bias[number], oracle.intercept_[0], atol=5e-3)
