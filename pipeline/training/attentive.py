"""Training of an attentive head on the features of a frozen encoder: steps of AdamW, for each pair of settings."""

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from timm.optim import create_optimizer_v2
from torch import Tensor

from pipeline.core.errors import UserError
from pipeline.core.progress_bar import progress_bar
from pipeline.core.task import Task
from pipeline.layers.frozen import Frozen
from pipeline.training.frozen_config import AttentiveConfig
from pipeline.training.logistic import losses
from pipeline.training.optim import ScheduleConfig, learning_rate

BATCH = 256
"""Videos that are scored at once."""
WARMUP = 0.1
"""Share of the steps in which the learning rate rises."""


class Attentive:
    """The head of a network, which is trained on features of V videos from the same start each time.

    Args:
        features: float32 (V, D).
        targets: many-hot (V, C).
        seed: of the order of the videos.
    """

    def __init__(
        self, network: Frozen, features: np.ndarray, targets: Tensor, config: AttentiveConfig, seed: int, task: Task
    ) -> None:
        self.network, self.features, self.targets = network, torch.from_numpy(features), targets.float()
        self.config, self.seed, self.task = config, seed, task
        self.head = {name: each for name, each in network.named_parameters() if each.requires_grad}
        self.start = {name: each.detach().clone() for name, each in self.head.items()}

    def held_out(self, rows: np.ndarray, fold: np.ndarray) -> Iterator[tuple[dict[str, float], Tensor]]:
        """Each pair of settings, and the logits (R, C) of the R rows by heads that were trained without their fold.

        Raises:
            UserError: a learning rate is so high that scores are not finite.
        """
        pairs = [(rate, decay) for rate in self.config.rates for decay in self.config.decays]
        folds = range(int(fold.max()) + 1)
        with progress_bar(total=len(pairs) * len(folds), desc="attentive heads", unit="head") as bar:
            for rate, decay in pairs:
                logits = self.targets.new_zeros(len(rows), self.targets.shape[1])
                for number in folds:
                    self._train(rows[fold != number], rate, decay)
                    logits[fold == number] = self._read(self.features[rows[fold == number]])
                    bar.update()
                if not logits.isfinite().all():
                    raise UserError(
                        f"An attentive head came to scores that are not finite with the learning rate {rate:g}. Take "
                        "lower ones: train.attentive.rates."
                    )
                yield {"decay": decay, "rate": rate}, logits.double()

    def fit(self, chosen: Mapping[str, float]) -> None:
        """Train the head on all videos, with the settings that were chosen."""
        self._train(np.arange(len(self.features)), chosen["rate"], chosen["decay"])

    def scores(self, features: np.ndarray) -> np.ndarray:
        """Features (V, D) -> logits float32 (V, C)."""
        return self._read(torch.from_numpy(features)).numpy()

    def _read(self, features: Tensor) -> Tensor:
        with torch.inference_mode():
            return torch.cat([self.network.read(some) for some in features.split(BATCH)])

    def _train(self, rows: np.ndarray, rate: float, decay: float) -> None:
        """Train the head on some videos, from the start."""
        with torch.no_grad():
            for name, parameter in self.head.items():
                parameter.copy_(self.start[name])
        self.network.train()
        optimizer = create_optimizer_v2(list(self.head.values()), "adamw", rate, decay)
        schedule = ScheduleConfig("cosine", WARMUP * self.config.epochs)
        batches, step = -(-len(rows) // self.config.batch), 0
        for epoch in range(self.config.epochs):
            order = np.random.default_rng((self.seed, epoch)).permutation(rows)
            for batch in np.array_split(order, batches):
                for group in optimizer.param_groups:
                    group["lr"] = learning_rate(rate, schedule, step + 1, batches, self.config.epochs + 1 / batches)
                optimizer.zero_grad()
                losses(self.network.read(self.features[batch]), self.targets[batch], self.task).mean().backward()
                optimizer.step()
                step += 1
        self.network.eval()
