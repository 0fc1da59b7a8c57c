"""Variants of an ensemble, compared by cross-validation, and the one of them that is used.

A variant is a rule for the member weights together with a mean. The val split is cut into folds. A variant's
cross-fitted scores of a fold come from weights that were fitted on the other folds, and the variant whose cross-fitted
scores have the highest sample mAP is used. Nothing here knows the test split. The cross-fitted sample mAP is still a
little too high, since the highest of several is taken, and since every member's epoch was picked on the whole val
split.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline import metrics
from pipeline.core.errors import UserError
from pipeline.ensemble import averaging, least_squares, weight_search
from pipeline.ensemble.config import EnsembleConfig
from pipeline.ensemble.parallel import forked_map
from pipeline.ensemble.weight_search import FitData, SearchSettings

_PROCESSES = 2
"""Processes that search at once; more would need over 4 GB where members hardly agree."""
_MANY_SCORES = 10_000
"""Videos times members from which on forked processes pay: a few hundred videos are done before one has started."""


@dataclass(frozen=True)
class Variant:
    """A rule with a mean, its member weights, and its average precision on each val video, 0..1: float64 (V,)."""

    rule: str
    mean: str
    weights: np.ndarray
    """Member weights fitted on all of val: (M,), or (M, C) where every class has its own."""
    fold_weights: tuple[np.ndarray, ...]
    """Member weights for each fold, fitted on all other folds."""
    fitted: np.ndarray
    """Average precision (V,) with `weights`, on the very videos that they are fitted to."""
    crossfit: np.ndarray
    """Average precision (V,) with `fold_weights`; the same as `fitted` where nothing is fitted."""

    @property
    def mAP(self) -> float:  # noqa: N802  (the metric's name)
        """Cross-fitted sample mAP in percent, by which variants are compared."""
        return 100 * float(self.crossfit.mean())


@dataclass(frozen=True)
class Selection:
    """Result of the comparison: the variants, and which of them is used."""

    variants: tuple[Variant, ...]
    best_member: int
    """Position of the member with the highest sample mAP on val."""
    used: Variant
    worth: tuple[float | None, ...]
    """Cross-fitted sample mAP that the used variant loses without each member, in percent points; None where no member,
    or no weight, is left without it."""
    subsets: dict[str, tuple[list[int], Variant]]
    """Name of a subset -> positions of its members, and the used rule and mean for these members alone."""


@dataclass(frozen=True)
class CrossValidation:
    """Folds of the val split, for M members under one mean."""

    data: FitData
    """Data of all val videos."""
    error_products: np.ndarray | None
    """Products of errors (`FitData`) of all videos, then of all but those of each fold: (1 + folds, C, M, M). None
    unless the rule `per_class` is tried."""
    fold_of: np.ndarray
    """Fold of each video, from 0: int (V,)."""
    given: np.ndarray | None
    """Member weights (M,) of the rule `given`, which need not sum to one."""

    @property
    def folds(self) -> range:
        """Numbers of the folds, from 0."""
        return range(self.fold_of.max() + 1)

    @property
    def processes(self) -> int:
        """Number of processes that share the search."""
        return _PROCESSES if self.fold_of.size * len(self.data.scores) > _MANY_SCORES else 1

    def select_members(self, chosen: list[int]) -> "CrossValidation":
        """Keep the members at these positions, in this order."""
        products = None if self.error_products is None else self.error_products[:, :, chosen][:, :, :, chosen]
        given = None if self.given is None else self.given[chosen]
        return CrossValidation(self.data.select_members(chosen), products, self.fold_of, given)

    def evaluate(self, rules: Sequence[str]) -> list[Variant]:
        """Variants, one a rule, with weights fitted on all videos and on all but each fold."""
        if not set(rules) <= {"uniform", "single", "given"}:
            _ = self.data.margins  # made once, for all processes

        def find_weights(fold: int) -> list[np.ndarray]:
            data = self.data if fold < 0 else self.without_fold(fold)
            return [self.find_weights(rule, data) for rule in rules]

        whole, *by_fold = forked_map(find_weights, [-1, *self.folds], self.processes)
        return [self._variant(rule, whole[i], tuple(found[i] for found in by_fold)) for i, rule in enumerate(rules)]

    def map_without_member(self, member: int, variant: Variant) -> float | None:
        """Cross-fitted sample mAP in percent of a variant without the member at a position; None if no weight is left.

        The search goes on from the weights that the other members have in the variant.
        """
        left = [i for i in range(len(self.data.scores)) if i != member]
        rest = self.select_members(left)
        if rest.given is not None and not rest.given.any():
            return None

        def refit(fold: int) -> np.ndarray:
            found = variant.fold_weights[fold]
            if not found[member].any():  # it was not used, so it is not missed
                return found[left]
            return rest.find_weights(variant.rule, rest.without_fold(fold), start=_normalised(found[left]))

        return 100 * float(rest.crossfit_precision([refit(fold) for fold in self.folds]).mean())

    def find_weights(self, rule: str, data: FitData, start: np.ndarray | None = None) -> np.ndarray:
        """Member weights of a rule, fitted to `data`; `start` as in `weight_search.find`."""
        if rule == "given":
            assert self.given is not None
            weights: np.ndarray = self.given / self.given.sum()
            return weights
        return weight_search.find(rule, data, start)

    def without_fold(self, fold: int) -> FitData:
        """Data of all videos but those of a fold. It is large, so it is made when its turn comes."""
        products = None if self.error_products is None else self.error_products[1 + fold]
        return self.data.select_videos(self.fold_of != fold, products)

    def crossfit_precision(self, fold_weights: Sequence[np.ndarray]) -> np.ndarray:
        """Average precision of each video, 0..1, with the weights that did not see its fold: float64 (V,)."""
        precision = np.empty(len(self.fold_of))
        for fold, weights in enumerate(fold_weights):
            inside = self.fold_of == fold
            precision[inside] = self.data.select_videos(inside, None).average_precision(weights)
        return precision

    def _variant(self, rule: str, weights: np.ndarray, fold_weights: tuple[np.ndarray, ...]) -> Variant:
        fitted, crossfit = self.data.average_precision(weights), self.crossfit_precision(fold_weights)
        return Variant(rule, self.data.mean, weights, fold_weights, fitted, crossfit)


def select(config: EnsembleConfig, probabilities: np.ndarray, targets: np.ndarray) -> Selection:
    """Compare the variants that the settings ask for on val, and select the one to use.

    Args:
        config: section `ensemble` of params.yaml.
        probabilities: of M members, float32 (M, V, C), 0..1.
        targets: many-hot labels (V, C), with a positive in every row.

    Raises:
        UserError: there are fewer videos than folds.
    """
    fold_of = _assign_folds(len(targets), config)
    asked = weight_search.RULES if config.weights == "best" else (config.weights,)
    rules = tuple(dict.fromkeys(("uniform", "single", *asked)))
    products = _error_products(probabilities, targets, fold_of, config.folds) if "per_class" in rules else None

    def cross_validation(mean: str) -> CrossValidation:
        settings = SearchSettings(config.seed, config.starts, config.shrinkage)
        whole = None if products is None else products[0]
        data = FitData.from_scores(mean, averaging.scale(probabilities, mean), targets, whole, settings)
        given = None if config.given is None else np.array([config.given[member] for member in config.members])
        return CrossValidation(data, products, fold_of, given)

    variants: list[Variant] = []
    for mean in averaging.MEANS if config.mean == "best" else (config.mean,):
        new = [rule for rule in rules if not (rule == "single" and variants)]  # it is the same in any mean
        variants += cross_validation(mean).evaluate(new)
    used = max((variant for variant in variants if variant.rule in asked), key=lambda variant: variant.mAP)
    best_member = int(np.argmax([metrics.sample_map(member, targets) for member in probabilities]))
    again = cross_validation(used.mean)  # made anew, since only one is in memory at a time
    worth, subsets = _worth(again, used), _subsets(config, again, used)
    return Selection(tuple(variants), best_member, used, worth, subsets)


def _assign_folds(videos: int, config: EnsembleConfig) -> np.ndarray:
    if videos < config.folds:
        raise UserError(f"{videos} val videos cannot be cut into {config.folds} folds. Lower ensemble.folds.")
    return np.random.default_rng(config.seed).permutation(videos) % config.folds


def _error_products(probabilities: np.ndarray, targets: np.ndarray, fold_of: np.ndarray, folds: int) -> np.ndarray:
    """Products of errors of all videos, then of all but those of each fold: (1 + folds, C, M, M)."""
    inside = [fold_of == fold for fold in range(folds)]
    parts = np.stack([least_squares.error_products(probabilities[:, mask], targets[mask]) for mask in inside])
    others = (np.delete(parts, f, axis=0).sum(axis=0) for f in range(folds))  # a difference would hold traces of f
    return np.stack([parts.sum(axis=0), *others])


def _worth(validation: CrossValidation, used: Variant) -> tuple[float | None, ...]:
    members = len(validation.data.scores)
    if members == 1:
        return (None,)
    _ = validation.data.margins  # made once, for all processes
    left = forked_map(lambda member: validation.map_without_member(member, used), range(members), validation.processes)
    return tuple(None if mAP is None else used.mAP - mAP for mAP in left)


def _subsets(
    config: EnsembleConfig, validation: CrossValidation, used: Variant
) -> dict[str, tuple[list[int], Variant]]:
    """The subsets with at least two members, but not all, and some weight."""
    found = {}
    for name in config.subsets:
        chosen = config.subset(name)
        part = validation.select_members(chosen)
        if 2 <= len(chosen) < len(config.members) and (part.given is None or part.given.any()):
            (variant,) = part.evaluate([used.rule])
            found[name] = chosen, variant
    return found


def _normalised(weights: np.ndarray) -> np.ndarray | None:
    """Member weights (M,) or (M, C), as (M,) that sum to one; None where all are zero."""
    shares = weights.reshape(len(weights), -1).mean(axis=1)
    return shares / shares.sum() if shares.any() else None
