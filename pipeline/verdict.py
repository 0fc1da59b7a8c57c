"""Verdicts: what a figure is worth, in sentences. Scores, labels and training curves in, text out.

They stand in the log of a training, in the ensemble's tables and on top of the page. The figure is always the headline
metric of the task, in percent.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pipeline import chance, metrics
from pipeline.chance import Chance
from pipeline.core.plural import number_of
from pipeline.core.task import Task

State = Literal["chance", "frequencies", "unclear", "better"]
PICKED = (
    "Val figures flatter: the best epoch of each network trained here was picked on the same val videos (a probe's "
    "settings were not)."
)
FLAT = 0.02
"""Share of the first epoch's loss by which it must fall from the second epoch on; less is flat."""
_TRY = "a higher train.optim.lr, more epochs, {}or labels that the frames can show"


@dataclass(frozen=True)
class Verdict:
    """A model's figure on a split, beside what chance gives there."""

    name: str
    split: str
    task: Task
    figure: float
    """Headline metric in percent."""
    random: Chance
    """Random answers."""
    shuffled: Chance
    """The model's own answers, dealt out to the videos at random."""

    @property
    def state(self) -> State:
        """How the figure stands to chance.

        `chance`: not above the interval of random answers. `frequencies`: above it, but not above that of its own
        answers when they are shuffled, so that it only knows which classes are frequent. `unclear`: above both, by less
        than luck gives the best of several models and epochs. `better`: above all of that.
        """
        figure = self.figure - 1e-9  # a figure that equals an end is not above it, whatever rounding says
        if figure <= self.random.high:
            return "chance"
        if figure <= self.shuffled.high:
            return "frequencies"
        return "unclear" if figure <= max(self.random.clear, self.shuffled.clear) else "better"

    @property
    def better(self) -> bool:
        """Whether the model is better than chance beyond doubt."""
        return self.state == "better"

    def sentence(self) -> str:
        """The verdict as a sentence with its numbers."""
        against = f"{metrics.TITLE[self.task]} {self.figure:.1f}; {chance_words(self.random)}"
        told = {
            "chance": f"{self.name} is no better than chance on {self.split} ({against}).",
            "frequencies": f"{self.name} is no better than chance on {self.split}: it has learnt which classes are "
            f"frequent, and nothing of the videos ({against}; its own answers, dealt out to the videos at random: "
            f"{self.shuffled.mean:.1f}, 95 %: {self.shuffled.low:.1f} to {self.shuffled.high:.1f}).",
            "unclear": f"{self.name} may be no better than chance on {self.split} ({against}; the best "
            f"of several models and epochs gets up to {max(self.random.clear, self.shuffled.clear):.1f} by luck).",
            "better": f"{self.name} is better than chance on {self.split} ({against}).",
        }
        return told[self.state]


def judge(name: str, split: str, task: Task, scores: np.ndarray, targets: np.ndarray, random: Chance) -> Verdict:
    """The verdict on scores (V, C) of a split with labels (V, C), given `chance.random_answers` for these labels."""
    figure = metrics.headline(task, scores, targets)
    return Verdict(name, split, task, figure, random, chance.shuffled_answers(task, scores, targets))


def chance_words(random: Chance) -> str:
    """Chance in a few words: its mean and interval."""
    return f"chance {random.mean:.1f}, 95 %: {random.low:.1f} to {random.high:.1f}"


def resolution(videos: int, split: str, points: float) -> str:
    """Sentence on the smallest difference of two models that V videos can show, in percent points."""
    shown = f"{points:.0f}" if points >= 9.95 else f"{points:.2g}"
    unit = "point" if shown == "1" else "points"
    return f"{number_of(videos, f'{split} video')}: differences of less than {shown} {unit} say nothing."


def gain(best: str, split: str, values: Sequence[float]) -> str:
    """Sentence on the ensemble's gain over the best member: `values` are the gain and the ends of its interval."""
    value, low, high = values
    told = f"{value:+z.1f} over {best} on {split}, 95 %: {low:+z.1f} to {high:+z.1f}"
    if high < 0:
        return f"The ensemble is worse than its best member ({told})."
    if low <= 0:
        return f"A gain of the ensemble over its best member is not shown ({told})."
    return f"The ensemble is better than its best member ({told})."


def of_training(
    task: Task,
    scores: np.ndarray,
    targets: np.ndarray,
    history: Sequence[Mapping[str, float]],
    pretrained: bool = True,
) -> list[str]:
    """Sentences for the end of a training: whether it beats chance on val, and whether its loss moved.

    They name the centre clip, since the tables of the ensemble judge the same model by more views.

    Args:
        task: of the corpus.
        scores: of the kept epoch for the centre clips of the val videos, finite (V, C); logits or probabilities.
        targets: labels of the val videos (V, C).
        history: an entry an epoch, each with its mean training `loss`; none where val chose no epoch.
        pretrained: whether the weights started from others; where not, that is worth a try.
    """
    split = "the centre clips of val"
    found = judge("the model", split, task, scores, targets, chance.random_answers(task, targets)).sentence()
    picked = ["The best epoch was picked on these same val videos."] if len(history) > 1 else []
    return [found[0].upper() + found[1:], *picked, *flat_loss([epoch["loss"] for epoch in history], pretrained)]


def flat_loss(losses: Sequence[float], pretrained: bool) -> list[str]:
    """A sentence where the mean loss of five or more epochs hardly falls from the second on; else nothing."""
    if len(losses) < 5 or min(losses[2:]) < losses[1] - FLAT * abs(losses[0]):
        return []
    remedy = _TRY.format("" if pretrained else "train.pretrained: imagenet, ")
    return [f"The loss has been flat since epoch 2 ({losses[1]:.3f}, at the end {losses[-1]:.3f}): try {remedy}."]
