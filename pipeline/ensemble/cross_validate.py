"""Variants of an ensemble, compared by cross-validation, and the one of them that is used.

A variant is a rule for the member weights together with a mean. The val split is cut into folds. A variant's
cross-fitted scores of a fold come from weights that were fitted on the other folds, and the variant whose cross-fitted
scores have the highest headline metric (sample mAP, or top-1 accuracy) is used. Nothing here knows the test split.
The cross-fitted metric is still a little too high, since the highest of several is taken, and since every member's
epoch was picked on the whole val split. `Selection.crossfit` counts the first: there the variant is chosen anew for
each fold, by the cross-fitted scores of the others.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.core.errors import UserError
from pipeline.core.task import MULTI_LABEL, Task
from pipeline.ensemble import averaging, least_squares, unseen, weight_search
from pipeline.ensemble.config import EnsembleConfig
from pipeline.ensemble.parallel import forked_map
from pipeline.ensemble.variants import Selection, Variant
from pipeline.ensemble.weight_search import FitData, SearchSettings

_PROCESSES = 2
"""Processes that search at once; more would need over 4 GB where members hardly agree."""
_MANY_SCORES = 10_000
"""Videos times members from which on forked processes pay: a few hundred videos are done before one has started."""


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
        if self.data.task == MULTI_LABEL and not set(rules) <= {"uniform", "single", "given"}:
            _ = self.data.margins  # made once, for all processes

        def find_weights(fold: int) -> list[np.ndarray]:
            data = self.data if fold < 0 else self.without_fold(fold)
            return [self.find_weights(rule, data) for rule in rules]

        whole, *by_fold = forked_map(find_weights, [-1, *self.folds], self.processes)
        return [self._variant(rule, whole[i], tuple(found[i] for found in by_fold)) for i, rule in enumerate(rules)]

    def without_member(self, member: int, variant: Variant) -> np.ndarray | None:
        """Cross-fitted metric (V,), 0..1, of a variant without a member; None if no weight is left.

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

        return rest.crossfit([refit(fold) for fold in self.folds])[0]

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

    def crossfit(self, fold_weights: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Metric, 0..1, and log loss of each video with the weights that did not see its fold: float64 (V,) each."""
        metric, loss = np.empty(len(self.fold_of)), np.empty(len(self.fold_of))
        for fold, weights in enumerate(fold_weights):
            inside = self.fold_of == fold
            data = self.data.select_videos(inside, None)
            metric[inside], loss[inside] = data.per_video(weights), data.log_loss(weights)
        return metric, loss

    def crossfit_alone(self, single: Variant) -> np.ndarray:
        """Metric (V,) of the member that `single` takes in each fold, by itself: with the prior where it does not see.

        The variant has the other members there.
        """
        metric, data = single.crossfit.copy(), self.data
        if data.sees is None:
            return metric
        for fold, weights in enumerate(single.fold_weights):
            member = int(np.argmax(weights))
            blind = (self.fold_of == fold) & ~data.sees[member]
            metric[blind] = data.member_metric[member, blind]
        return metric

    def _variant(self, rule: str, weights: np.ndarray, fold_weights: tuple[np.ndarray, ...]) -> Variant:
        fitted, crossfit = self.data.per_video(weights), self.crossfit(fold_weights)
        return Variant(rule, self.data.mean, weights, fold_weights, fitted, *crossfit)


def select(
    config: EnsembleConfig,
    probabilities: np.ndarray,
    targets: np.ndarray,
    task: Task = MULTI_LABEL,
    sees: np.ndarray | None = None,
) -> Selection:
    """Compare the variants that the settings ask for on val, and select the one to use.

    Args:
        config: section `ensemble` of params.yaml.
        probabilities: of M members, float32 (M, V, C), 0..1.
        targets: many-hot labels (V, C), with a positive in every row.
        task: which metric counts.
        sees: which members see which videos, bool (M, V), at least one each; see unseen.py. None: every member all.

    Raises:
        UserError: there are fewer videos than folds, or a setting does not fit the task.
    """
    check_setting(config, len(targets), task)
    fold_of = np.random.default_rng(config.seed).permutation(len(targets)) % config.folds
    asked, answers = _asked_rules(config, task), unseen.filled(probabilities, sees)
    rules = tuple(dict.fromkeys(("uniform", "single", *asked)))
    products = _error_products(answers, targets, fold_of, config.folds) if "per_class" in rules else None

    def cross_validation(mean: str) -> CrossValidation:
        settings = SearchSettings(config.seed, config.starts, config.shrinkage)
        whole, scaled = None if products is None else products[0], averaging.scale(probabilities, mean, task)
        data = FitData.from_scores(mean, scaled, targets, whole, settings, task, sees)
        given = None if config.given is None else np.array([config.given[member] for member in config.members])
        return CrossValidation(data, products, fold_of, given)

    variants: list[Variant] = []
    for mean in _asked_means(config, task):
        new = [rule for rule in rules if not (rule == "single" and variants)]  # it is the same in any mean
        variants += cross_validation(mean).evaluate(new)
    candidates = [variant for variant in variants if variant.rule in asked]
    used = max(candidates, key=Variant.quality)
    single = next(variant for variant in variants if variant.rule == "single")
    again = cross_validation(used.mean)  # made anew, since only one is in memory at a time
    return Selection(
        variants=tuple(variants) if len(probabilities) > 1 else (used,),
        best_member=int(np.argmax(cross_validation("probability").data.single)),
        used=used,
        crossfit=_choose_by_fold(candidates, fold_of),
        crossfit_single=again.crossfit_alone(single),
        chosen=len(candidates) > 1,
        lost=_lost(again, used),
        subsets=_subsets(config, again, used),
    )


def check_setting(config: EnsembleConfig, videos: int, task: Task) -> None:
    """Check that the folds suit the number of val videos, and the rule and mean the task.

    Raises:
        UserError: one does not.
    """
    if videos < config.folds and len(config.members) > 1:
        raise UserError(
            f"{videos} val videos cannot be cut into {config.folds} folds. Set ensemble.folds in conf/config.yaml to "
            f"{max(2, videos)} or less, then `pipeline params` and `dvc repro`."
        )
    if task == MULTI_LABEL:
        return
    for setting, value, known in (
        ("weights", config.weights, (*weight_search.SINGLE_LABEL_RULES, "given", "best")),
        ("mean", config.mean, (*averaging.means(task), "best")),
    ):
        if value not in known:
            raise UserError(
                f"ensemble.{setting}: {value} is for several labels a video, and here each has one. Set one of "
                f"{', '.join(known)} in conf/config.yaml, then `pipeline params` and `dvc repro`."
            )


def _asked_rules(config: EnsembleConfig, task: Task) -> tuple[str, ...]:
    """Rules that may be used; of a single member every rule is the same."""
    if len(config.members) == 1:
        return ("uniform",)
    if config.weights != "best":
        return (config.weights,)
    return weight_search.RULES if task == MULTI_LABEL else weight_search.SINGLE_LABEL_RULES


def _asked_means(config: EnsembleConfig, task: Task) -> tuple[str, ...]:
    """Means that may be used; of a single member every mean but ranks is the same."""
    if config.mean != "best":
        return (config.mean,)
    return averaging.means(task) if len(config.members) > 1 else averaging.MEANS[:1]


def _choose_by_fold(candidates: Sequence[Variant], fold_of: np.ndarray) -> np.ndarray:
    """Cross-fitted metric (V,) of the choice among candidates: in each fold, of that which is best on the others."""
    chosen = np.empty(len(fold_of))
    for fold in range(fold_of.max() + 1):
        inside = fold_of == fold
        chosen[inside] = max(candidates, key=lambda variant: variant.quality(~inside)).crossfit[inside]
    return chosen


def _error_products(probabilities: np.ndarray, targets: np.ndarray, fold_of: np.ndarray, folds: int) -> np.ndarray:
    """Products of errors of all videos, then of all but those of each fold: (1 + folds, C, M, M)."""
    inside = [fold_of == fold for fold in range(folds)]
    parts = np.stack([least_squares.error_products(probabilities[:, mask], targets[mask]) for mask in inside])
    others = (np.delete(parts, f, axis=0).sum(axis=0) for f in range(folds))  # a difference would hold traces of f
    return np.stack([parts.sum(axis=0), *others])


def _lost(validation: CrossValidation, used: Variant) -> tuple[np.ndarray | None, ...]:
    members = len(validation.data.scores)
    if members == 1:
        return (None,)
    if validation.data.task == MULTI_LABEL:
        _ = validation.data.margins  # made once, for all processes
    left = forked_map(lambda member: validation.without_member(member, used), range(members), validation.processes)
    return tuple(None if metric is None else used.crossfit - metric for metric in left)


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
