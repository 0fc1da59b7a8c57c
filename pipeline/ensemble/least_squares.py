"""Member weights of each class by least squares: those with which its mean probability is nearest to its labels."""

import numpy as np

_GRADIENT_STEPS = 150


def error_products(probabilities: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Products of two members' errors, summed over videos: float64 (C, M, M).

    Args:
        probabilities: of M members, float32 (M, V, C), 0..1.
        targets: many-hot labels (V, C); where one is below 0, it is not known, and no member errs.
    """
    wrong = probabilities - targets.astype(np.float32)
    wrong *= targets >= 0
    products = np.empty((targets.shape[1], len(wrong), len(wrong)))
    for i, one in enumerate(wrong):
        for j, other in enumerate(wrong[: i + 1]):
            products[:, i, j] = products[:, j, i] = (one * other).sum(axis=0, dtype=np.float64)
    return products


def fit(products: np.ndarray, centre: np.ndarray, shrinkage: float) -> np.ndarray:
    """Member weights (M, C), for each class the w on the simplex where w'Ew + shrinkage * |w - centre|^2 / 2 is least.

    E is the class' part of `products`, see `error_products`. For weights that sum to one, w'Ew is the squared error of
    the mean probability, which grows with the class' videos: a rare class stays near the `centre` (M,). Found by
    projected gradient descent.
    """
    bound = 2 * np.trace(products, axis1=1, axis2=2) + shrinkage  # of the curvature
    rate = 1 / np.maximum(bound, np.finfo(bound.dtype).tiny)[:, None]
    weights = np.tile(centre, (len(products), 1))
    for _ in range(_GRADIENT_STEPS):
        gradient = 2 * np.einsum("cmn,cn->cm", products, weights) + shrinkage * (weights - centre)
        weights = project_on_simplex(weights - rate * gradient)
    return weights.T


def project_on_simplex(points: np.ndarray) -> np.ndarray:
    """Nearest points (R, M) whose coordinates are not negative and sum to one.

    Duchi, Shalev-Shwartz, Singer, Chandra: "Efficient Projections onto the l1-Ball", ICML 2008, figure 1.
    """
    descending = -np.sort(-points, axis=1)
    excess = (np.cumsum(descending, axis=1) - 1) / np.arange(1, points.shape[1] + 1)
    kept = (descending > excess).sum(axis=1)
    return np.maximum(points - np.take_along_axis(excess, kept[:, None] - 1, axis=1), 0)
