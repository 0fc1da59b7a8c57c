"""The steps of a training that were taken and whose outcome nobody has looked at yet."""

from collections import deque
from pathlib import Path

from pipeline.core.errors import UserError
from pipeline.training.resume import TrainState
from pipeline.training.step import Diverged, Outcome


class UnderWay:
    """The steps that a device may still be at work on, in their order.

    Args:
        steps: number of steps of an epoch.
        folder: where the resume state lies, for messages.

    Attributes:
        asked: whether, in a step that was read, any process was asked to stop.
    """

    def __init__(self, steps: int, folder: Path) -> None:
        self.steps, self.folder = steps, folder
        self.outcomes: deque[Outcome] = deque()
        self.asked = False

    def add(self, outcome: Outcome) -> None:
        """Note that a step was taken."""
        self.outcomes.append(outcome)

    def read(self, state: TrainState, but: int = 0) -> None:
        """Note the figures of all steps but the last `but` in the state, which counts all; the device is waited for.

        Raises:
            UserError: one is not finite.
        """
        while len(self.outcomes) > but:
            step = state.step - len(self.outcomes)
            try:
                figures, asked = self.outcomes.popleft().read()
            except Diverged as error:
                raise UserError(
                    f"{error} at step {step} (epoch {step // self.steps + 1}). Weights of earlier epochs, if there "
                    f"were any, stay in {self.folder}. Lower train.optim.lr or train.optim.clip_norm in conf/model/."
                ) from error
            for name, value in figures.items():
                state.steps.setdefault(name, []).append(value)
            self.asked = self.asked or asked
