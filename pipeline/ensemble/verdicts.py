"""Verdicts on the members and their ensemble: chance on each split, how the models stand to it, and what a gain is."""

from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from pipeline import chance, metrics, verdict
from pipeline.chance import Chance
from pipeline.core.task import Task
from pipeline.ensemble.bootstrap import intervals
from pipeline.verdict import Verdict

ENSEMBLE = "the ensemble"


@dataclass(frozen=True)
class SplitVerdicts:
    """Verdicts on one labelled split."""

    split: str
    videos: int
    random: Chance
    """Random answers, in percent."""
    prior: tuple[float, float, float]
    """Class prior as the answer for every video, ties in random order: percent, and the ends of its interval."""
    models: tuple[Verdict, ...]
    """Of each member and, where there are several, of the ensemble."""
    points: float
    """Difference of two models, in percent points, below which the split shows nothing."""

    @property
    def any_better(self) -> bool:
        """Whether some model is better than chance."""
        return any(one.better for one in self.models)

    def sentences(self) -> list[str]:
        """The verdicts as sentences: what is not better than chance one by one, and then all that is."""
        better = [one.name for one in self.models if one.better]
        told = [one.sentence() for one in self.models if not one.better]
        if better:
            names = "Every model is" if not told else f"{', '.join(better)}: each" if len(better) > 1 else better[0]
            verb = "" if not told else " is"
            told.append(f"{names}{verb} better than chance on {self.split} ({verdict.chance_words(self.random)}).")
        told = [sentence[0].upper() + sentence[1:] if sentence.startswith("the ") else sentence for sentence in told]
        return [*told, verdict.resolution(self.videos, self.split, self.points)]

    def plain(self) -> dict[str, Any]:
        """Chance and the prior as plain numbers, in percent."""
        random = {"mean": self.random.mean, "low": self.random.low, "high": self.random.high}
        return {"chance": random, "prior": dict(zip(("mean", "low", "high"), self.prior, strict=True))}


def judge_split(
    split: str,
    task: Task,
    members: dict[str, np.ndarray],
    ensemble: tuple[np.ndarray, float] | None,
    prior: np.ndarray,
    targets: np.ndarray,
    bootstrap: tuple[int, int],
) -> SplitVerdicts:
    """Judge the models on a labelled split.

    Args:
        split: its name.
        task: of the corpus.
        members: member -> its scores (V, C).
        ensemble: its scores (V, C) and the figure in percent to judge, cross-fitted on val; None of a single member.
        prior: class prior (C,).
        targets: many-hot labels (V, C).
        bootstrap: number of resamples, and the seed.
    """
    random = chance.random_answers(task, targets)
    models = [verdict.judge(name, split, task, scores, targets, random) for name, scores in members.items()]
    if ensemble is not None:
        scores, figure = ensemble
        shuffled = chance.shuffled_answers(task, scores, targets)
        models.append(Verdict(ENSEMBLE, split, task, figure, random, shuffled))
    expected = chance.expected_per_video(task, np.tile(prior, (len(targets), 1)), targets)
    ends = 100 * intervals(expected[None], *bootstrap)[0]
    per_video = np.stack([metrics.per_video(task, scores, targets) for scores in members.values()])
    return SplitVerdicts(
        split=split,
        videos=len(targets),
        random=random,
        prior=(100 * float(expected.mean()), float(ends[0]), float(ends[1])),
        models=tuple(models),
        points=_points(per_video, *bootstrap),
    )


def _points(per_video: np.ndarray, resamples: int, seed: int) -> float:
    """Half the width of the 95 % interval of the difference of two members, in points: the median over all pairs.

    A single member is paired with another like it that errs on other videos: the root of two times its own half width.
    It is no less than what one video is worth, since members that err on the same videos show no spread.
    """
    pairs = list(combinations(per_video, 2))
    values = np.stack([one - other for one, other in pairs]) if pairs else per_video
    ends = intervals(values, resamples, seed)
    half = float(np.median(ends[:, 1] - ends[:, 0])) / 2 * (1 if pairs else 2**0.5)
    return 100 * max(half, 1 / len(per_video[0]))
