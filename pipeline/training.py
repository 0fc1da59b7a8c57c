"""fit(): train one model, best weights by validation sample mAP, restartable at any step.

Everything random is a function of the seed and the step, never of a hidden state: the order of videos (seed, epoch),
the augmentation (seed, epoch, video), and what the model draws itself, such as dropout (seed, step). So a run that
was killed and resumed ends with the same bytes as one that was not.
"""

import importlib.metadata
import logging
import math
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from dvclive import Live
from dvclive.fabric import DVCLiveLogger
from lightning_fabric import Fabric
from torch import Tensor
from tqdm import tqdm

from pipeline import checkpoint, metrics, optim, params, work
from pipeline.checkpoint import Checkpoint
from pipeline.clips import EpochSampler, TrainingClips, VideoViews, loader
from pipeline.errors import BadInput
from pipeline.machine import Machine
from pipeline.pretrained import load_pretrained
from pipeline.recipe import ModelConfig
from pipeline.records import Manifest
from pipeline.resume import Progress, ResumeState
from pipeline.statistics import ClassStatistics
from pipeline.store import FrameStore
from pipeline.transforms import normalise
from pipeline.views import View, ViewGrid

log = logging.getLogger(__name__)

VERSIONS = ("torchvision", "timm", "numpy", "simplejpeg")
"""Libraries besides PyTorch whose version a recipe records: they touch pixels or weights."""
STARVED = 0.2
"""Share of the time spent waiting for data above which a remedy is named."""


def fit(
    config: ModelConfig, manifest: Manifest, store: FrameStore, statistics: ClassStatistics, out: Path, on: Machine
) -> Progress:
    """Train a model and write its checkpoint and curves to `out`.

    Raises:
        BadInput: an unknown option, too few videos for a batch, or a loss that is not finite.
    """
    torch.set_num_threads(on.threads)
    fabric = Fabric(accelerator=on.accelerator, devices=1)
    run = _Run(config, manifest, store, statistics, fabric, on, out.name)
    for name in (checkpoint.FILE, checkpoint.RECIPE):
        work.remove(out / name)  # of an earlier run: beside new curves it would tell a lie
    network, optimizer = run.model.module, run.optimizer.optimizer
    progress = run.state.restore(network, optimizer)
    if progress.step:
        log.info("resuming at step %d of %d (%s)", progress.step, run.total_steps, run.state.folder)
    curves = _curves(out, progress)
    while len(progress.history) < config.train.epochs:
        for loss in run.epoch(progress):
            progress.losses.append(loss)
            run.state.save_now_and_then(progress, network, optimizer)
        score = run.validate()
        progress.history.append({"loss": float(np.mean(progress.losses)), "val_mAP": score, "lr": progress.lr})
        progress.losses = []
        if score > progress.best_map:
            progress.best_map, progress.best_epoch = score, len(progress.history) - 1
            run.state.keep_best(network)
        curves.log_metrics(progress.history[-1], step=len(progress.history))
        run.state.save(progress, network, optimizer)
    curves.finalize("success")
    run.checkpoint(progress).write(out)
    run.state.forget()
    return progress


class _Run:
    """One training: model, data, optimiser, recipe and resume state."""

    def __init__(
        self,
        config: ModelConfig,
        manifest: Manifest,
        store: FrameStore,
        statistics: ClassStatistics,
        fabric: Fabric,
        on: Machine,
        name: str,
    ) -> None:
        train, self.config, self.fabric, self.on = config.train, config, fabric, on
        torch.manual_seed(train.seed)
        model, self.input = config.build(len(manifest.classes))
        self.recipe = _recipe(config, on, fabric.device.type, manifest, store)
        if train.pretrained is not None:
            start = load_pretrained(model, train.pretrained)
            log.info("%s", start)
            self.input = start.input or self.input
            self.recipe["pretrained"] = {"source": start.source, "sha256": start.sha256}
        self.loss = train.loss.build(statistics).to(fabric.device)
        self.model, self.optimizer = fabric.setup(model, optim.optimizer(model, train.optim))

        good = manifest.without(set(manifest.videos) - set(store.videos))
        self.training, self.validation = good.split("train"), good.split("val")
        clips = TrainingClips(self.training, store, config.clip.sampler, train.augment, train.seed)
        self.batches = EpochSampler(len(clips), train.batch, train.seed)
        if not len(self.batches):
            raise BadInput(f"A batch of {train.batch} is more than the {len(clips)} train videos. Lower train.batch.")
        pin = fabric.device.type == "cuda"
        self.loader = loader(clips, on.processes, pin, batch_sampler=self.batches)
        centre = View(1, 0, config.clip.centre, "centre")
        views = VideoViews(self.validation.videos, store, config.clip.sampler, ViewGrid((centre,), {"clip": (0,)}))
        self.validation_loader = loader(views, on.processes, pin, batch_size=train.batch)

        self.steps_per_epoch = len(self.batches)
        self.total_steps = train.epochs * self.steps_per_epoch
        self.classes = manifest.classes
        self.state = ResumeState(Path(on.scratch), name, self.recipe, on.save_seconds)

    def epoch(self, progress: Progress) -> Iterator[float]:
        """Train the rest of the current epoch; yields the loss of each step."""
        train, number = self.config.train, len(progress.history)
        first = progress.step - number * self.steps_per_epoch
        self.batches.epoch, self.batches.first = number, first
        self.model.train()
        bar = tqdm(
            total=self.steps_per_epoch,
            initial=first,
            desc=f"epoch {number + 1}/{train.epochs}",
            unit="step",
            leave=False,
        )
        waiting = _Stopwatch()
        with bar:
            for clip, targets in waiting.watch(self.loader):
                progress.lr = optim.learning_rate(
                    train.optim.lr, train.schedule, progress.step, self.steps_per_epoch, train.epochs
                )
                loss = self.step(clip, targets, progress.lr, progress.step)
                progress.step += 1
                bar.set_postfix(
                    loss=f"{loss:.3f}",
                    mAP=f"{progress.history[-1]['val_mAP']:.1f}" if progress.history else "-",
                    clips_s=f"{waiting.count * train.batch / waiting.elapsed:.0f}",
                    waiting=f"{waiting.share:.0%}",
                )
                bar.update()
                yield loss
        if waiting.share > STARVED and waiting.elapsed > 10:
            log.warning(
                "%.0f%% of the epoch was spent waiting for data. Raise machine.workers, put data/lmdb on a faster "
                "disk, or extract at a smaller short side.",
                100 * waiting.share,
            )

    def step(self, clip: Tensor, targets: Tensor, lr: float, step: int) -> float:
        """One update of the weights; returns the loss before it."""
        torch.manual_seed((self.config.train.seed << 32) + step)  # dropout: a function of (seed, step)
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        clip, targets = clip.to(self.fabric.device), targets.to(self.fabric.device)
        logits = self.model(normalise(clip, self.input))
        loss = self.loss(logits, targets)
        value = float(loss.detach())
        if not math.isfinite(value):
            raise BadInput(
                f"The loss is {value} at step {step} (epoch {step // self.steps_per_epoch + 1}). Weights of earlier "
                f"epochs, if there were any, stay in {self.state.folder}. Lower train.optim.lr or "
                "train.optim.clip_norm in conf/model/."
            )
        self.optimizer.zero_grad(set_to_none=True)
        self.fabric.backward(loss)
        if self.config.train.optim.clip_norm is not None:
            self.fabric.clip_gradients(self.model, self.optimizer, max_norm=self.config.train.optim.clip_norm)
        self.optimizer.step()
        return value

    def validate(self) -> float:
        """Sample mAP of the validation split under protocol `clip`, in percent."""
        self.model.eval()
        logits = []
        with torch.inference_mode():
            for views in self.validation_loader:
                (clips,) = views.values()  # (N, 1, 3, T, H, W): one view, so one size
                logits.append(self.model(normalise(clips[:, 0].to(self.fabric.device), self.input)).float().cpu())
        scores = torch.cat(logits).numpy()
        if not np.isfinite(scores).all():
            return -math.inf
        return metrics.sample_map(scores, self.validation.targets())

    def checkpoint(self, progress: Progress) -> Checkpoint:
        """The best weights, with all that made them."""
        if progress.best_epoch < 0:
            raise BadInput("No epoch ended with finite validation scores. Lower train.optim.lr.")
        weights = self.state.best()
        result = {"epoch": progress.best_epoch, "val_mAP": progress.best_map}
        return Checkpoint(weights, {**self.recipe, "result": result}, self.classes, self.input)


class _Stopwatch:
    """How long a loop lasts, and how much of that it waits for its iterable."""

    def __init__(self) -> None:
        self.start = time.monotonic()
        self.waited, self.count = 0.0, 0

    @property
    def elapsed(self) -> float:
        return max(time.monotonic() - self.start, 1e-9)

    @property
    def share(self) -> float:
        return self.waited / self.elapsed

    def watch(self, items: Iterable[Any]) -> Iterator[Any]:
        iterator = iter(items)
        while True:
            before = time.monotonic()
            try:
                item = next(iterator)
            except StopIteration:
                return
            self.waited += time.monotonic() - before
            self.count += 1
            yield item


def _recipe(config: ModelConfig, on: Machine, device: str, manifest: Manifest, store: FrameStore) -> dict[str, Any]:
    """All that makes the weights, as plain values."""
    labels = work.fingerprint(manifest.table[["video", "split", "labels"]].values.tolist(), manifest.classes)
    return {
        **params.plain(config),
        "threads": on.threads,
        "device": device,
        "data": {"frames": store.content_key(), "labels": labels},
        "versions": {"torch": torch.__version__} | {name: importlib.metadata.version(name) for name in VERSIONS},
    }


def _curves(out: Path, progress: Progress) -> DVCLiveLogger:
    """The training curves, with what earlier runs had logged."""
    live = Live(dir=str(out / "curves"), dvcyaml=False, save_dvc_exp=False)
    curves = DVCLiveLogger(experiment=live)
    for number, row in enumerate(progress.history):
        curves.log_metrics(row, step=number + 1)  # from 1: the logger takes 0 for "no step given"
    return curves
