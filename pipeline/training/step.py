"""One update of the weights: the gradient of a whole batch, over pieces and processes, and what follows from it."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from lightning_fabric import Fabric
from timm.utils import ModelEmaV3
from torch import Tensor
from torch.nn.utils import get_total_norm

from pipeline.class_stats import ClassStatistics
from pipeline.core.errors import UserError
from pipeline.core.machine import Machine
from pipeline.layers.normalize import normalize
from pipeline.pretrained.load import load_pretrained
from pipeline.pretrained.report import Report
from pipeline.runtime import distributed
from pipeline.runtime.transfer import Download, Upload
from pipeline.training import mixup, optim
from pipeline.training.config import ModelConfig

Pieces = tuple[tuple[Tensor, Tensor], ...]
"""A process' share of a batch: clips uint8 (N, 3, T, H, W), or sounds int16 (N, S), and targets (N, C) of each
piece."""


class Diverged(Exception):
    """The loss or the gradient is not finite: the weights are of no more use."""


class Outcome:
    """What came of a step. The device may still be at work on it; who reads it waits until it is done.

    Args:
        asked: number of processes that were asked to stop, float64 ().
        figures: name -> float64 (): `loss`, of the whole batch before the update, its parts, and `gradient_norm`.
        scaled: whether a gradient that is not finite was left out, as the gradient scaler of fp16 does.
    """

    def __init__(self, asked: Tensor, figures: dict[str, Tensor], *, scaled: bool) -> None:
        self.names, self.scaled = list(figures), scaled
        self.numbers = Download(torch.stack([asked, *figures.values()]))

    def read(self) -> tuple[dict[str, float], bool]:
        """The figures, and whether any process was asked to stop.

        Raises:
            Diverged: the loss or the gradient is not finite.
        """
        asked, *values = self.numbers.read().tolist()
        figures = dict(zip(self.names, values, strict=True))
        loss, norm = figures["loss"], figures["gradient_norm"]
        if not math.isfinite(loss):
            raise Diverged(f"The loss is {loss}")
        if not math.isfinite(norm) and not self.scaled:
            raise Diverged(f"The norm of the gradient is {norm}")
        return figures, asked > 0


class TrainStep:
    """The network, its loss and its optimiser.

    Attributes:
        network: what is trained, as it was built.
        kept: what is validated and saved in the end: the network, or the moving average of its weights.
        input: what the network's weights expect of pixels.
        start: the report of the pretrained weights that were loaded; None where the weights start at random.
    """

    def __init__(
        self, config: ModelConfig, classes: int, statistics: ClassStatistics, fabric: Fabric, machine: Machine
    ) -> None:
        train, self.config, self.fabric, self.machine = config.train, config, fabric, machine
        torch.manual_seed(train.seed)
        network, self.input = config.build(classes)
        self.start: Report | None = None
        if train.pretrained is not None:
            self.start = load_pretrained(
                network, train.pretrained, classes=statistics.classes, chosen=train.pretrained_set
            )
            if type(self.start.input) is type(self.input):  # else of pixels, by the name of a network that hears
                self.input = self.start.input
        self.upload = Upload(fabric.device)
        self.loss = train.loss.build(statistics, train.mix).to(fabric.device)
        fused = fabric.device.type == "cuda" and machine.precision != "fp16"  # fp16 unscales before it clips
        optimizer = optim.optimizer(network, train.optim, fused)
        self.network = distributed.synchronised(network, fabric)
        last = machine.channels_last
        self.channels_last = distributed.suits_channels_last(network, fabric) if last == "auto" else last
        if self.channels_last:
            distributed.to_channels_last(self.network)
        trained: Any = torch.compile(self.network) if machine.compile else self.network
        self.model, self.optimizer = fabric.setup(trained, optimizer)
        self.ema = None if train.ema is None else ModelEmaV3(self.network, train.ema)
        self.kept = self.network if self.ema is None else self.ema.module

    def __call__(self, pieces: Pieces, lr: float, step: int, stop: bool = False) -> Outcome:
        """Update the weights once; a GPU is asked to, and not waited for.

        Args:
            pieces: this process' share of the batch.
            lr: learning rate, before the factor of each parameter group.
            step: number of the step from the beginning of the training; seeds dropout and mixing.
            stop: whether this process was asked to stop.

        Returns:
            What comes of it. Where that cannot be read, as the training has diverged, the weights are of no more use.
        """
        train, fabric = self.config.train, self.fabric
        torch.manual_seed((train.seed << 32) + step * fabric.world_size + fabric.global_rank)
        for group in self.optimizer.param_groups:
            group["lr"] = lr * group["scale"]
        self.optimizer.zero_grad(set_to_none=True)
        pieces = tuple((self.upload(clip), self.upload(targets)) for clip, targets in pieces)
        value: dict[str, Tensor] = {}
        for number, ((clip, targets), share) in enumerate(zip(pieces, self._shares(pieces), strict=True), start=1):
            with fabric.no_backward_sync(self.model, enabled=number < len(pieces)):
                found = self._loss_of(clip, targets)
                with distributed.sound_gradients(fabric, self.machine):
                    fabric.backward(found["loss"] * share * fabric.world_size)  # by which DDP divides
            value = {name: value.get(name, 0) + part.detach() * share for name, part in found.items()}
        norm = self._update()
        asked = torch.full((), float(stop), dtype=torch.float64, device=fabric.device)
        own = torch.stack([asked, *(part.double() for part in value.values())])
        asked, *parts = distributed.summed(own, fabric).unbind()
        figures = {**dict(zip(value, parts, strict=True)), "gradient_norm": norm.double()}
        return Outcome(asked, figures, scaled=self.machine.precision == "fp16")

    def tensors(self) -> dict[str, Tensor]:
        """The weights, and their average, under names that do not clash: what a resumed training needs."""
        tensors = {f"model.{name}": tensor for name, tensor in self.network.state_dict().items()}
        if self.ema is not None:
            tensors |= {f"ema.{name}": tensor for name, tensor in self.ema.module.state_dict().items()}
        return tensors

    def scaler_state(self, load: dict[str, float] | None = None) -> dict[str, float]:
        """The state of the gradient scaler of fp16, after `load` was put in; empty for other precisions."""
        precision = self.fabric.strategy.precision
        if load:
            precision.load_state_dict(load)
        return dict(precision.state_dict())

    def _shares(self, pieces: Pieces) -> Sequence[float | Tensor]:
        """By how much each piece's loss counts in the mean over the whole batch of all processes."""
        if not self.config.train.loss.over_labels:
            return [len(clip) / self.config.train.batch for clip, _ in pieces]
        labels = torch.stack([targets.clamp(min=0).sum(dtype=torch.float64) for _, targets in pieces])
        total = distributed.summed(labels.sum(), self.fabric)
        return list((labels / total.clamp(min=1)).float())

    def _loss_of(self, clip: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """The mean loss of clips as the loader gives them, on the device, and its parts, if it has some."""
        clip, targets = mixup.mix(normalize(clip, self.input), targets, self.config.train.mix)
        if self.channels_last:
            clip = clip.contiguous(memory_format=distributed.FORMATS[clip.ndim])
        logits = self.model(clip)
        found: dict[str, Tensor] = {"loss": self.loss(logits, targets)}
        if parts := getattr(self.loss, "parts", None):
            with torch.no_grad():
                found |= {f"loss_{name}": part for name, part in parts(logits, targets).items()}
        return found

    def _update(self) -> Tensor:
        """Clip the gradients and move the weights, and their average; the norm of the gradient before, float32 ()."""
        most = self.config.train.optim.clip_norm
        if most is None:
            self.fabric.strategy.precision.unscale_gradients(self.optimizer.optimizer)
            norm = get_total_norm([one.grad for one in self.network.parameters() if one.grad is not None])
        else:
            clipped = self.fabric.clip_gradients(self.model, self.optimizer, max_norm=most, error_if_nonfinite=False)
            assert clipped is not None  # it is, where the norm is what is clipped
            norm = clipped
        self.optimizer.step()
        if self.ema is not None:
            self.ema.update(self.network)
        return norm


@contextmanager
def enough_memory(config: ModelConfig, clips: int) -> Iterator[None]:
    """Say which settings take less of a device's memory where a pass of so many `clips` does not fit into it.

    Raises:
        UserError: it does not fit.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise UserError(
            f"A pass of {clips} clips of {config.clip_in_words} does not fit into the memory of the device. Set "
            f"machine.clips_per_device below {clips}: a batch is then made of smaller passes, and little changes but "
            "the time. Or lower train.batch, or the settings in brackets, of the model, in conf/. Then `pipeline "
            f"params`. {error}"
        ) from error
