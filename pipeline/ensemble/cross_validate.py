"""The variants of an ensemble, a rule for its weights times a mean, compared on videos that the weights never saw.

The val split is cut into folds. A variant's cross-fitted scores of a fold come from weights that were fitted on the
other folds, and the variant whose cross-fitted scores have the highest sample mAP is chosen. Nothing here knows the
test split. What is left of flattery: of several figures the highest is taken, and every member's epoch was picked on
the whole val split.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline import metrics
from pipeline.core.errors import UserError
from pipeline.ensemble import averaging, parallel, weight_search
from pipeline.ensemble.config import EnsembleConfig
from pipeline.ensemble.weight_search import Evidence, Search

_PROCESSES = 2
"""They search at once; more would go beyond 4 GB where members hardly agree."""
_MANY = 10_000
"""Videos times members from which they pay."""


@dataclass(frozen=True)
class Variant:
    """One way to make the ensemble, and how well it does on each val video: average precision (V,), 0..1."""

    rule: str
    mean: str
    weights: np.ndarray
    """Fitted on all of val: (M,), or (M, C) where every class has its own."""
    by_fold: tuple[np.ndarray, ...]
    """Fitted on all folds but one."""
    fitted: np.ndarray
    """With `weights`, on the very videos that they are fitted to."""
    crossfit: np.ndarray
    """With `by_fold`; the same as `fitted` where nothing is fitted."""

    @property
    def mAP(self) -> float:  # noqa: N802  (the metric's name)
        """Cross-fitted sample mAP in percent, by which variants are compared."""
        return 100 * float(self.crossfit.mean())


@dataclass(frozen=True)
class Choice:
    """What comes of the comparison."""

    variants: tuple[Variant, ...]
    best_member: int
    """On val."""
    chosen: Variant
    worth: tuple[float | None, ...]
    """Of each member: the cross-fitted sample mAP that the chosen variant loses without it, in percent points; None
    where nothing is left without it."""
    subsets: dict[str, tuple[list[int], Variant]]
    """The chosen variant made of some members only: their positions, and what comes of it."""


@dataclass(frozen=True)
class Trial:
    """The members on val, under one mean."""

    evidence: Evidence
    """Of all videos."""
    errors: np.ndarray | None
    """(1 + folds, C, M, M): the products of errors of all videos, then of all but each fold; for `per_class`."""
    fold: np.ndarray
    """int (V,): the fold of each video."""
    given: np.ndarray | None
    """Weights (M,) of the rule `given`, which need no sum."""

    def of_members(self, chosen: list[int]) -> "Trial":
        """The same with some members only."""
        errors = None if self.errors is None else self.errors[:, :, chosen][:, :, :, chosen]
        given = None if self.given is None else self.given[chosen]
        return Trial(self.evidence.of_members(chosen), errors, self.fold, given)

    def run(self, rules: Sequence[str]) -> list[Variant]:
        """A variant of each rule."""
        if not set(rules) <= {"uniform", "single", "given"}:
            _ = self.evidence.rivals  # made once, for all processes

        def find(number: int) -> list[np.ndarray]:
            evidence = self.evidence if number < 0 else self.but(number)
            return [self.weigh(rule, evidence) for rule in rules]

        whole, *by_fold = parallel.each(find, [-1, *self.folds], self.processes)
        return [self._variant(rule, whole[i], [found[i] for found in by_fold]) for i, rule in enumerate(rules)]

    def without(self, member: int, variant: Variant) -> float | None:
        """Cross-fitted sample mAP in percent of a variant that must do without a member; None if nothing is left."""
        left = [i for i in range(len(self.evidence.scores)) if i != member]
        rest = self.of_members(left)
        if rest.given is not None and not rest.given.any():
            return None

        def refit(number: int) -> np.ndarray:
            found = variant.by_fold[number]
            if not found[member].any():  # it was not used, so it is not missed
                return found[left]
            return rest.weigh(variant.rule, rest.but(number), near=_normalised(found[left]))

        return 100 * float(rest.cross_fit([refit(number) for number in self.folds]).mean())

    def weigh(self, rule: str, evidence: Evidence, near: np.ndarray | None = None) -> np.ndarray:
        """The weights of a rule, fitted to the evidence; `near` as in `blend.find`."""
        if rule == "given":
            assert self.given is not None
            return self.given / self.given.sum()
        return weight_search.find(rule, evidence, near)

    @property
    def folds(self) -> range:
        """Their numbers."""
        return range(self.fold.max() + 1)

    @property
    def processes(self) -> int:
        """A table of a few hundred videos is searched before a process has started."""
        return _PROCESSES if self.fold.size * len(self.evidence.scores) > _MANY else 1

    def but(self, number: int) -> Evidence:
        """The evidence without a fold. It is large, and made when its turn comes."""
        errors = None if self.errors is None else self.errors[1 + number]
        return self.evidence.of_videos(self.fold != number, errors)

    def _variant(self, rule: str, whole: np.ndarray, by_fold: list[np.ndarray]) -> Variant:
        fitted = self.evidence.precision(whole)
        return Variant(rule, self.evidence.mean, whole, tuple(by_fold), fitted, self.cross_fit(by_fold))

    def cross_fit(self, by_fold: Sequence[np.ndarray]) -> np.ndarray:
        """Average precision of each video (V,), with the weights that did not see its fold."""
        precision = np.empty(len(self.fold))
        for number, found in enumerate(by_fold):
            inside = self.fold == number
            precision[inside] = self.evidence.of_videos(inside, None).precision(found)
        return precision


def compare(config: EnsembleConfig, probabilities: np.ndarray, targets: np.ndarray) -> Choice:
    """Try the variants that the config asks for on val: probabilities (M, V, C), many-hot targets (V, C).

    Raises:
        UserError: there are fewer videos than folds.
    """
    fold = _folds(len(targets), config)
    asked = weight_search.RULES if config.weights == "best" else (config.weights,)
    rules = tuple(dict.fromkeys(("uniform", "single", *asked)))
    errors = _errors(probabilities, targets, fold, config.folds) if "per_class" in rules else None
    variants: list[Variant] = []
    chosen: Variant | None = None
    for mean in averaging.MEANS if config.mean == "best" else (config.mean,):
        new = [rule for rule in rules if not (rule == "single" and variants)]  # it is the same in any mean
        tried = _trial(config, mean, probabilities, targets, fold, errors).run(new)
        variants += tried
        for variant in tried:
            if variant.rule in asked and (chosen is None or variant.mAP > chosen.mAP):
                chosen = variant
    assert chosen is not None
    singles = [metrics.sample_map(member, targets) for member in probabilities]
    again = _trial(config, chosen.mean, probabilities, targets, fold, errors)  # one at a time is in memory
    worth, subsets = _worth(again, chosen), _subsets(config, again, chosen)
    return Choice(tuple(variants), int(np.argmax(singles)), chosen, worth, subsets)


def _folds(videos: int, config: EnsembleConfig) -> np.ndarray:
    if videos < config.folds:
        raise UserError(f"{videos} val videos cannot be cut into {config.folds} folds. Lower ensemble.folds.")
    return np.random.default_rng(config.seed).permutation(videos) % config.folds


def _errors(probabilities: np.ndarray, targets: np.ndarray, fold: np.ndarray, folds: int) -> np.ndarray:
    """The products of errors of all videos, then of all but each fold: (1 + folds, C, M, M)."""
    parts = np.stack([weight_search.errors(probabilities[:, fold == f], targets[fold == f]) for f in range(folds)])
    others = (np.delete(parts, f, axis=0).sum(axis=0) for f in range(folds))  # a difference would hold traces of f
    return np.stack([parts.sum(axis=0), *others])


def _trial(
    config: EnsembleConfig,
    mean: str,
    probabilities: np.ndarray,
    targets: np.ndarray,
    fold: np.ndarray,
    errors: np.ndarray | None,
) -> Trial:
    search = Search(config.seed, config.starts, config.shrinkage)
    scores = averaging.scale(probabilities, mean)
    evidence = Evidence.of(mean, scores, targets, None if errors is None else errors[0], search)
    given = None if config.given is None else np.array([config.given[member] for member in config.members])
    return Trial(evidence, errors, fold, given)


def _worth(trial: Trial, variant: Variant) -> tuple[float | None, ...]:
    members = len(trial.evidence.scores)
    if members == 1:
        return (None,)
    _ = trial.evidence.rivals
    left = parallel.each(lambda member: trial.without(member, variant), range(members), trial.processes)
    return tuple(None if mAP is None else variant.mAP - mAP for mAP in left)


def _subsets(config: EnsembleConfig, trial: Trial, variant: Variant) -> dict[str, tuple[list[int], Variant]]:
    """The subsets with at least two members, but not all, and some weight."""
    found = {}
    for name in config.subsets:
        chosen = config.subset(name)
        part = trial.of_members(chosen)
        if 2 <= len(chosen) < len(config.members) and (part.given is None or part.given.any()):
            (made,) = part.run([variant.rule])
            found[name] = chosen, made
    return found


def _normalised(found: np.ndarray) -> np.ndarray | None:
    """Weights (M,) or (M, C) as (M,) that sum to one; None where all are zero."""
    shares = found.reshape(len(found), -1).mean(axis=1)
    return shares / shares.sum() if shares.any() else None
