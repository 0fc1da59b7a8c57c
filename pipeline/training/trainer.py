"""fit(): train one model, best weights by validation sample mAP, restartable at any step, on one device or many.

Everything random is a function of the seed and the step, never of a hidden state: the order of videos (seed, epoch),
the augmentation (seed, epoch, video), and what the model draws itself, such as dropout (seed, step, process). So a run
that was killed and resumed ends with the same bytes as one that was not.

`batch` is the global number of videos a step, whatever it is made of: each process takes its share, in pieces of at
most `machine.clips_per_device`, and the gradient is that of the mean over the whole batch.
"""

import logging
import math
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric.utilities.rank_zero import rank_zero_only
from timm.utils import ModelEmaV3
from torch import Tensor
from tqdm import tqdm

from pipeline import metrics
from pipeline.class_stats import ClassStatistics
from pipeline.clips.dataset import MultiViewDataset, TrainDataset
from pipeline.clips.frame_store import FrameStore
from pipeline.clips.loader import EpochSampler, loader
from pipeline.clips.views import View, ViewGrid
from pipeline.core import files, params
from pipeline.core.errors import UserError
from pipeline.core.machine import Machine
from pipeline.core.manifest import Manifest
from pipeline.layers.normalize import normalize
from pipeline.pretrained.load import load_pretrained
from pipeline.runtime import distributed, fingerprint, signals
from pipeline.runtime.checkpoint import Checkpoint
from pipeline.runtime.progress import Stopwatch, clock
from pipeline.runtime.signals import Stopped
from pipeline.training import mixup, optim
from pipeline.training.config import ModelConfig
from pipeline.training.logger import Curves
from pipeline.training.resume import Progress, ResumeState

log = logging.getLogger(__name__)

STARVED = 0.2
"""Share of the time spent waiting for data above which a remedy is named."""


def fit(
    config: ModelConfig, manifest: Manifest, store: FrameStore, statistics: ClassStatistics, out: Path, machine: Machine
) -> Progress:
    """Train a model and write its checkpoint and curves to `out`.

    Raises:
        UserError: an unknown option, too few videos for a batch, or a loss that is not finite.
        Stopped: SIGTERM or SIGINT came; the state is saved, and the same call goes on from there.
    """
    run = _Run(config, manifest, store, statistics, machine, out.name)
    progress = run.restore()
    curves = Curves.start(out, progress.history)
    with signals.listen() as request:
        while len(progress.history) < config.train.epochs:
            for loss in run.epoch(progress, request):
                progress.losses.append(loss)
                if run.asked_to_stop:
                    run.save(progress)
                    run.fabric.barrier()  # a process that ends may take the one that writes with it
                    raise Stopped(request.number or signal.SIGTERM, run.where(progress))
                if run.state.due:
                    run.save(progress)
            run.save(progress)  # a kill during the validation costs no step
            score = run.validate()
            progress.history.append({"loss": float(np.mean(progress.losses)), "val_mAP": score, "lr": progress.lr})
            progress.losses = []
            if score > progress.best_map:
                progress.best_map, progress.best_epoch = score, len(progress.history) - 1
                run.keep_best()
            curves.log(progress.history[-1], step=len(progress.history))
            run.save(progress)
    curves.end()
    run.finish(progress, out)
    return progress


class _Run:
    """One process' part of a training: model, data, optimiser, recipe and resume state."""

    def __init__(
        self,
        config: ModelConfig,
        manifest: Manifest,
        store: FrameStore,
        statistics: ClassStatistics,
        machine: Machine,
        name: str,
    ) -> None:
        train, self.config, self.machine = config.train, config, machine
        good = manifest.without(set(manifest.videos) - set(store.videos))
        self.training, self.validation, self.classes = good.split("train"), good.split("val"), manifest.classes
        if train.batch > len(self.training):
            raise UserError(
                f"A batch of {train.batch} is more than the {len(self.training)} train videos. Lower train.batch."
            )
        if not len(self.validation):
            raise UserError(
                "No val video gave frames, so no epoch could be told the best. Add val videos to the corpus."
            )
        self.fabric = fabric = distributed.launch(machine)
        self.recipe = _recipe(config, manifest, store, statistics)
        self._build(statistics)
        self._load(store)
        self.total_steps = train.epochs * self.batches.steps
        self.state = ResumeState(
            Path(machine.scratch), name, self.recipe, machine.save_seconds, writes=fabric.is_global_zero
        )
        self.asked_to_stop = False
        self.watches: list[Stopwatch] = []

    def _build(self, statistics: ClassStatistics) -> None:
        """Network, loss, optimiser, and the average of the weights."""
        train, fabric = self.config.train, self.fabric
        torch.manual_seed(train.seed)
        network, self.input = self.config.build(len(self.classes))
        if train.pretrained is None:
            _say("the weights start at random (train.pretrained names no checkpoint)")
        else:
            start = load_pretrained(network, train.pretrained)
            _say(str(start))
            self.input = start.input or self.input
            self.recipe["pretrained"] = {"source": start.source, "sha256": start.sha256}
        self.loss = train.loss.build(statistics, train.mix).to(fabric.device)
        fused = fabric.device.type == "cuda" and self.machine.precision != "fp16"  # fp16 unscales before it clips
        optimizer = optim.optimizer(network, train.optim, fused)
        self.network = distributed.synchronised(network, fabric)
        if self.machine.channels_last:
            distributed.to_channels_last(self.network)
        trained: Any = torch.compile(self.network) if self.machine.compile else self.network
        self.model, self.optimizer = fabric.setup(trained, optimizer)
        self.ema = None if train.ema is None else ModelEmaV3(self.network, train.ema)
        self.kept = self.network if self.ema is None else self.ema.module  # what is validated, and saved in the end

    def _load(self, store: FrameStore) -> None:
        """The loaders of this process' share of the train and val videos."""
        train, clip, fabric = self.config.train, self.config.clip, self.fabric
        if train.batch < fabric.world_size:
            raise UserError(f"A batch of {train.batch} leaves some of {fabric.world_size} devices idle. Raise it.")
        options: dict[str, Any] = {"pin": fabric.device.type == "cuda"}
        workers = max(1, self.machine.processes // distributed.local_processes(fabric))
        clips = TrainDataset(self.training, store, clip.sampler, train.augment, train.seed)
        self.batches = EpochSampler(
            len(clips), train.batch, train.seed,
            rank=fabric.global_rank, processes=fabric.world_size, most=self.machine.clips_per_device,
        )  # fmt: skip
        if train.mix.on and self.batches.smallest_piece < 2:
            raise UserError(
                "train.mix blends clips of one pass, and here some have one. Raise machine.clips_per_device."
            )
        self.loader = loader(clips, workers, stay=True, batch_sampler=self.batches, **options)
        grid = ViewGrid((View(1, 0, clip.centre, "centre"),), {"clip": (0,)})
        views = MultiViewDataset(distributed.share(self.validation.videos, fabric), store, clip.sampler, grid)
        piece = min(train.batch // fabric.world_size, self.machine.clips_per_device or train.batch)
        self.validation_loader = loader(views, workers, batch_size=piece, **options)

    def restore(self) -> Progress:
        """Go on where the last run of this recipe stopped; a fresh start where there was none."""
        progress = self.state.restore(self._tensors(), self.optimizer.optimizer)
        (steps,) = distributed.add([progress.step], self.fabric)
        if steps != progress.step * self.fabric.world_size:
            raise UserError(
                f"The processes see different resume states under {self.state.folder}: machine.scratch must name a "
                "folder that all nodes share."
            )
        self._scaler_state(progress.scaler)
        self.first_step = progress.step
        if progress.step:
            _say(f"resuming at {self.where(progress)}")
        elif others := files.others(self.state.folder):
            _say(
                f"{others[0]} holds an unfinished training of this model with other settings, code, versions or data, "
                "which does not go on: go back to what made it, or delete it."
            )
        ran_on = {
            "device": self.fabric.device.type,
            "devices": self.fabric.world_size,
            **{name: getattr(self.machine, name) for name in RECORDED},
        }
        if ran_on not in progress.machines:
            progress.machines.append(ran_on)
        if not progress.step:
            self.save(progress)  # from here on, a folder without a state is a loss and not a beginning
        return progress

    def epoch(self, progress: Progress, request: signals.Request) -> Iterator[float]:
        """Train the rest of the current epoch; yields the loss of each step."""
        train, number = self.config.train, len(progress.history)
        first = progress.step - number * self.batches.steps
        self.batches.epoch, self.batches.first = number, first
        self.model.train()
        self.watches.append(watch := Stopwatch())
        title = f"epoch {number + 1}/{train.epochs}"
        with tqdm(
            total=self.batches.steps,
            initial=first,
            desc=title,
            unit="step",
            leave=False,
            disable=not self.fabric.is_global_zero,
        ) as bar:
            arriving = watch.waits(self.loader)
            for pieces in zip(*[arriving] * self.batches.parts, strict=True):
                progress.lr = optim.learning_rate(
                    train.optim.lr, train.schedule, progress.step, self.batches.steps, train.epochs
                )
                loss = self.step(pieces, progress.lr, progress.step, bool(request.number))
                progress.step += 1
                rate = (bar.n - first + 1) / watch.elapsed
                bar.set_postfix(
                    loss=f"{loss:.3f}",
                    mAP=f"{progress.history[-1]['val_mAP']:.1f}" if progress.history else "-",
                    lr=f"{progress.lr:.2g}",
                    clips_s=f"{rate * train.batch:.0f}",
                    waiting=f"{watch.share:.0%}",
                    left=clock((self.total_steps - progress.step) / rate),
                    refresh=False,  # `update` does, now and then
                )
                bar.update()
                yield loss
        watch.stop()
        if watch.share > STARVED and watch.elapsed > 10:
            log.warning(
                "%.0f%% of the epoch was spent waiting for data. Raise machine.workers, put data/lmdb on a faster "
                "disk, or extract at a smaller short side.",
                100 * watch.share,
            )

    def step(self, pieces: tuple[tuple[Tensor, Tensor], ...], lr: float, step: int, stop: bool = False) -> float:
        """One update of the weights; returns the loss of the whole batch before it."""
        train, fabric = self.config.train, self.fabric
        # Dropout and mixing are a function of (seed, step, process).
        torch.manual_seed((train.seed << 32) + step * fabric.world_size + fabric.global_rank)
        for group in self.optimizer.param_groups:
            group["lr"] = lr * group["scale"]
        self.optimizer.zero_grad(set_to_none=True)
        value = torch.zeros((), device=fabric.device)
        for number, ((clip, targets), share) in enumerate(zip(pieces, self._shares(pieces), strict=True), start=1):
            with fabric.no_backward_sync(self.model, enabled=number < len(pieces)):
                loss = self._loss_of(clip, targets) * share
                fabric.backward(loss * fabric.world_size)  # by which DDP divides
            value += loss.detach()
        total, asked = distributed.add([float(value), float(stop)], fabric)
        self.asked_to_stop = asked > 0
        if not math.isfinite(total):
            raise self._diverged(f"The loss is {total}", step)
        self._update(step)
        return total

    def _shares(self, pieces: tuple[tuple[Tensor, Tensor], ...]) -> list[float]:
        """By how much each piece's loss counts in the mean over the whole batch of all processes."""
        if not self.config.train.loss.over_labels:
            return [len(clip) / self.config.train.batch for clip, _ in pieces]
        labels = [float(targets.sum()) for _, targets in pieces]
        (total,) = distributed.add([sum(labels)], self.fabric)
        return [mine / max(total, 1.0) for mine in labels]

    def _loss_of(self, clip: Tensor, targets: Tensor) -> Tensor:
        """The mean loss of clips as the loader gives them."""
        clip = normalize(clip.to(self.fabric.device, non_blocking=True), self.input)
        clip, targets = mixup.mix(clip, targets.to(self.fabric.device, non_blocking=True), self.config.train.mix)
        if self.machine.channels_last:
            clip = clip.contiguous(memory_format=torch.channels_last_3d)
        return self.loss(self.model(clip), targets)

    def _update(self, step: int) -> None:
        """Clip the gradients and move the weights, and their average."""
        if self.config.train.optim.clip_norm is not None:
            norm = self.fabric.clip_gradients(
                self.model, self.optimizer, max_norm=self.config.train.optim.clip_norm, error_if_nonfinite=False
            )
            assert norm is not None
            # The scaler of fp16 leaves out such a step and lowers its scale.
            if self.machine.precision != "fp16" and not torch.isfinite(norm):
                raise self._diverged(f"The norm of the gradient is {float(norm)}", step)
        self.optimizer.step()
        if self.ema is not None:
            self.ema.update(self.network)

    def validate(self) -> float:
        """Sample mAP of the validation split under protocol `clip`, in percent, each video once."""
        self.kept.eval()
        logits = [torch.empty(0, len(self.classes))]
        with torch.inference_mode(), self.fabric.autocast():
            for views in self.validation_loader:
                (clips,) = views.values()  # (N, 1, 3, T, H, W): one view, so one size
                logits.append(self.kept(normalize(clips[:, 0].to(self.fabric.device), self.input)).float().cpu())
        scores = distributed.gather(torch.cat(logits), len(self.validation), self.fabric).numpy()
        if not np.isfinite(scores).all():
            return -math.inf
        return metrics.sample_map(scores, self.validation.targets())

    def save(self, progress: Progress) -> None:
        """Write the resume state."""
        progress.scaler = self._scaler_state()
        self.state.save(progress, self._tensors(), self.optimizer.optimizer)

    def keep_best(self) -> None:
        """Keep the present weights as the best."""
        self.state.keep_best(self.kept.state_dict())

    def finish(self, progress: Progress, out: Path) -> None:
        """Write the best weights with all that made them, and delete the resume state."""
        if progress.best_epoch < 0:
            raise UserError("No epoch ended with finite validation scores. Lower train.optim.lr.")
        if self.fabric.is_global_zero:
            result = {"epoch": progress.best_epoch, "val_mAP": progress.best_map}
            recipe = {**self.recipe, "machines": progress.machines, "result": result}
            Checkpoint(self.state.best(), recipe, self.classes, self.input).write(out)
            self.state.forget()
        if self.watches:
            seconds, waited = sum(w.elapsed for w in self.watches), sum(w.waited for w in self.watches)
            steps = (progress.step - self.first_step) / seconds
            _say(
                f"trained {len(self.watches)} epochs in {clock(seconds)} (without validation): "
                f"{steps * self.config.train.batch:.0f} clips/s, {waited / seconds:.0%} of it waiting for data"
            )
        distributed.close(self.fabric)

    def where(self, progress: Progress) -> str:
        """For messages: how far the training is."""
        return f"step {progress.step} of {self.total_steps} ({self.state.folder})"

    def _tensors(self) -> dict[str, Tensor]:
        """The weights, and their average, under names that do not clash: what a resumed run needs."""
        tensors = {f"model.{name}": tensor for name, tensor in self.network.state_dict().items()}
        if self.ema is not None:
            tensors |= {f"ema.{name}": tensor for name, tensor in self.ema.module.state_dict().items()}
        return tensors

    def _scaler_state(self, load: dict[str, float] | None = None) -> dict[str, float]:
        """The state of the gradient scaler of fp16; nothing for other precisions."""
        precision = self.fabric.strategy.precision
        if load:
            precision.load_state_dict(load)
        return dict(precision.state_dict())

    def _diverged(self, what: str, step: int) -> UserError:
        return UserError(
            f"{what} at step {step} (epoch {step // self.batches.steps + 1}). Weights of earlier epochs, if there were "
            f"any, stay in {self.state.folder}. Lower train.optim.lr or train.optim.clip_norm in conf/model/."
        )


RECORDED = ("threads", "precision", "tf32", "clips_per_device", "channels_last", "compile")
"""Settings of the machine that change a result, if only in the last bit."""


@rank_zero_only
def _say(message: str) -> None:
    log.info("%s", message)


def _recipe(config: ModelConfig, manifest: Manifest, store: FrameStore, statistics: ClassStatistics) -> dict[str, Any]:
    """All that makes the weights but the machine, as plain values."""
    labels = files.fingerprint(manifest.table[["video", "split", "labels"]].values.tolist(), manifest.classes)
    return {
        **params.plain(config),
        "data": {
            "frames": store.content_key(),
            "labels": labels,
            "statistics": files.fingerprint(statistics.counts.tolist()),
        },
        "versions": fingerprint.versions(),
    }
