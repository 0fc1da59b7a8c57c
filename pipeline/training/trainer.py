"""fit(): train one model, best weights by validation, restartable at any step, on one device or many.

Everything random is a function of the seed and the step, never of a hidden state: the order of videos (seed, epoch),
the augmentation (seed, epoch, video), and what the model draws itself, such as dropout (seed, step, process). So a
training that was killed and resumed ends with the same bytes as one that was not.

`batch` is the global number of videos a step, whatever it is made of: each process takes its share, in pieces of at
most `machine.clips_per_device`, and the gradient is that of the mean over the whole batch.

A GPU is told what to do and works by itself. What came of a step (its loss, and whether to stop) is read when the next
one is under way, so that there is always one; and before a state is saved, so that none is saved that has diverged.
"""

import logging
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from lightning_fabric.utilities.rank_zero import rank_zero_only
from torch import Tensor
from torch.utils.data import DataLoader

from pipeline import verdict
from pipeline.class_stats import ClassStatistics
from pipeline.clips.inputs import Store
from pipeline.clips.loader import EpochSampler, loader
from pipeline.core import files
from pipeline.core.errors import UserError
from pipeline.core.machine import Machine
from pipeline.core.manifest import Manifest
from pipeline.core.progress_bar import progress_bar
from pipeline.core.task import MULTI_LABEL, Task, noted
from pipeline.metrics import SHORT
from pipeline.runtime import distributed, lease, signals
from pipeline.runtime.allocator import keep_freed_memory
from pipeline.runtime.checkpoint import Checkpoint
from pipeline.runtime.progress import Timer, duration, rate, whole_epoch
from pipeline.runtime.signals import Stopped
from pipeline.training import evaluate, optim, speed, trackers
from pipeline.training.config import ModelConfig
from pipeline.training.logger import EpochLogger
from pipeline.training.recipe import check_sizes, ran_on, recipe_of
from pipeline.training.resume import ResumeFolder, TrainState
from pipeline.training.step import Pieces, TrainStep, enough_memory
from pipeline.training.under_way import UnderWay

log = logging.getLogger(__name__)


def fit(
    config: ModelConfig, manifest: Manifest, store: Store, statistics: ClassStatistics, out: Path,
    machine: Machine, task: Task = MULTI_LABEL, stop: int | None = None,
) -> TrainState:  # fmt: skip
    """Train a model for a task and write its checkpoint and curves to `out`.

    Args:
        config: what is trained, and how.
        manifest: the videos; those of train are trained on, and those of val tell the best epoch.
        store: their frames, or their sound for a model that hears.
        statistics: of the train videos.
        out: folder of the checkpoint and the curves; it bears the model's name.
        machine: what the training runs on.
        stop: number of the epoch (from 1) after which training ends, with the weights of that epoch as its result. Then
            no video is validated, and val may be empty. None: all epochs, of which val tells the best.

    Raises:
        UserError: a loss for another task, an unknown option, too few videos for a batch, or a loss that is not finite.
        Stopped: SIGTERM or SIGINT came; the state is saved, and the same call goes on from there.
    """
    trainer = Trainer(config, manifest, store, statistics, machine, out.name, task, stop)
    lock = lease.hold(trainer.resume.lock, trainer.fabric, wait=True)
    with lock, signals.listen() as request, ExitStack() as stack:
        state = trainer.restore()
        named = trainer.resume.folder.name, out.name, trainer.recipe
        tracked = Path(machine.logs), state.speeds, stack.enter_context(trackers.opened(machine, *named))
        logger = EpochLogger.start(out, trainer.epochs, state.history, task, *tracked)
        while len(state.history) < trainer.epochs:
            timer = Timer()
            for _ in trainer.epoch(state, request):
                if trainer.resume.due:
                    trainer.save(state)
            trainer.save(state)  # a kill during the validation costs no step
            trainer.end_epoch(state, *trainer.validate(state))
            whole = whole_epoch(timer.elapsed, trainer.timers[-1].elapsed, trainer.batches.first, trainer.batches.steps)
            logger.epoch(state.history, state.speeds, timer.elapsed, whole * (trainer.epochs - len(state.history)))
            trainer.save(state)
        logger.end()
        trainer.finish(state, out)
    return state


class Trainer:
    """One process' part of a training: its share of the videos, the network, and the resume state."""

    def __init__(
        self, config: ModelConfig, manifest: Manifest, store: Store, statistics: ClassStatistics,
        machine: Machine, name: str, task: Task, stop: int | None,
    ) -> None:  # fmt: skip
        good = manifest.without(set(manifest.videos) - set(store.videos))
        self.train_split, self.val_split = good.split("train"), good.split("val")
        self.config = config = config.of(task).resolved(manifest.classes, len(self.train_split))
        self.task, self.machine, self.classes, self.stop = task, machine, manifest.classes, stop
        self.epochs = stop or config.train.epochs
        check_sizes(name, config, self.train_split, self.val_split, stop)
        self.fabric = distributed.launch(machine)
        keep_freed_memory()  # and so do the processes of the loaders
        self.recipe = recipe_of(config, manifest, store, statistics) | noted(task) | ({"stop": stop} if stop else {})
        self.step = TrainStep(config, len(manifest.classes), statistics, self.fabric, machine)
        if self.step.start is None:
            _say("the weights start at random (train.pretrained names no checkpoint)")
        else:
            _say(str(self.step.start))
            self.recipe |= self.step.start.of_recipe()
        self._load(store)
        self.total_steps = self.epochs * self.batches.steps
        self.resume = ResumeFolder(
            Path(machine.scratch), name, self.recipe, machine.save_seconds, writes=self.fabric.is_global_zero
        )
        self.under_way = UnderWay(self.batches.steps, self.resume.folder)
        self.timers: list[Timer] = []

    def _load(self, store: Any) -> None:
        """The loaders of this process' share of the train and val videos."""
        train, clip, fabric = self.config.train, self.config.clip, self.fabric
        if train.batch < fabric.world_size:
            raise UserError(f"A batch of {train.batch} leaves some of {fabric.world_size} devices idle. Raise it.")
        options: dict[str, Any] = {"pin": fabric.device.type == "cuda"}
        workers = max(1, self.machine.processes // distributed.local_processes(fabric))
        clips = clip.training(self.train_split, store, train.augment, train.seed)
        self.batches = EpochSampler(
            len(clips), train.batch, train.seed,
            rank=fabric.global_rank, processes=fabric.world_size, most=self.machine.clips_per_device,
        )  # fmt: skip
        if train.mix.on and self.batches.smallest_piece < 2:
            raise UserError(
                "train.mix blends clips of one pass, and here some have one. Raise machine.clips_per_device."
            )
        self.loader = loader(clips, workers, stay=True, batch_sampler=self.batches, collate_fn=clips.collate, **options)
        self.clips_per_pass = min(train.batch // fabric.world_size, self.machine.clips_per_device or train.batch)
        sample = evaluate.sample(self.train_split, min(train.train_sample, len(self.val_split)))
        self.evaluated: dict[str, tuple[Manifest, DataLoader[Any]]] = {}
        for name, videos in {"train": sample, "val": self.val_split}.items():
            if len(videos) and not self.stop:
                views = clip.centres(distributed.share(videos.videos, fabric), store)
                self.evaluated[name] = videos, loader(views, workers, batch_size=self.clips_per_pass, **options)

    def restore(self) -> TrainState:
        """Go on where the last training with this recipe stopped; a fresh start where there was none."""
        state = self.resume.restore(self.step.tensors(), self.step.optimizer.optimizer)
        (steps,) = distributed.add([state.step], self.fabric)
        if steps != state.step * self.fabric.world_size:
            raise UserError(
                f"The processes see different resume states under {self.resume.folder}: machine.scratch must name a "
                "folder that all nodes share."
            )
        self.step.scaler_state(state.scaler)
        self.first_step = state.step
        if state.step:
            _say(f"resuming at {self.where(state)}")
        elif others := files.others(self.resume.folder):
            _say(
                f"{others[0]} holds an unfinished training of this model with other settings, code, versions or data, "
                "which does not go on: go back to what made it, or delete it."
            )
        runs_on = ran_on(self.machine, self.fabric, self.step.channels_last)
        if runs_on not in state.machines:
            state.machines.append(runs_on)
        if not state.step:
            self.save(state)  # from here on, a folder without a state is a loss and not a beginning
        return state

    def epoch(self, state: TrainState, request: signals.Request) -> Iterator[None]:
        """Train the rest of the current epoch; yields after each step, which may be under way still.

        Raises:
            Stopped: SIGTERM or SIGINT came to some process; the state is saved.
        """
        train, number = self.config.train, len(state.history)
        self.batches.epoch, self.batches.first = number, state.step - number * self.batches.steps
        self.step.model.train()
        self.timers.append(timer := Timer())
        speed.reset_memory(self.fabric.device)
        title = f"epoch {number + 1}/{self.epochs}"
        with progress_bar(
            total=self.batches.steps, initial=self.batches.first, desc=title, unit="step", leave=False,
            disable=not self.fabric.is_global_zero,
        ) as bar:  # fmt: skip
            arriving = timer.waits(self.loader)
            for done, pieces in enumerate(zip(*[arriving] * self.batches.parts, strict=True), start=1):
                self._update(pieces, state, bool(request.number))
                self._end_if_asked(state, request, but=1)
                bar.set_description_str(f"{title}  {self._latest(state)}", refresh=False)
                bar.set_postfix(
                    lr=f"{state.lr:.2g}", speed=rate(done * train.batch, timer.elapsed, "clip"),
                    waiting=f"{timer.waiting:.0%}",
                    all_epochs=duration((self.total_steps - state.step) / done * timer.elapsed), refresh=False,
                )  # fmt: skip
                bar.update()  # which draws, now and then
                yield
        self._end_if_asked(state, request)
        timer.stop()
        speed.warn_if_starved(timer)

    def _latest(self, state: TrainState) -> str:
        """The figures of the last step that was looked at, and of the last validation."""
        loss, norm = (f"{state.steps[name][-1]:.3g}" if state.steps else "-" for name in ("loss", "gradient_norm"))
        score = f"{state.history[-1][evaluate.key(self.task)]:.1f}" if state.history and not self.stop else "-"
        gpu = f"  GPU {speed.memory(self.fabric.device):.1f} GB" if self.fabric.device.type == "cuda" else ""
        return f"loss {loss}  gradient {norm}  {SHORT[self.task]} {score}{gpu}"

    def _update(self, pieces: Pieces, state: TrainState, stop: bool) -> None:
        """Take the next step."""
        train, steps = self.config.train, self.batches.steps
        state.lr = optim.learning_rate(train.optim.lr, train.schedule, state.step, steps, train.epochs)
        with enough_memory(self.config, self.clips_per_pass):
            self.under_way.add(self.step(pieces, state.lr, state.step, stop))
        state.step += 1

    def _end_if_asked(self, state: TrainState, request: signals.Request, but: int = 0) -> None:
        """Look at all steps but the last `but`, and end if a process was asked to.

        All processes come here after the same steps, so they end together, though each reads for itself.
        """
        self.under_way.read(state, but)
        if self.under_way.asked:
            self.save(state)
            self.fabric.barrier()  # a process that ends may take the one that writes with it
            raise Stopped(request.number or signal.SIGTERM, self.where(state))

    def validate(self, state: TrainState) -> tuple[dict[str, float], Tensor]:
        """What `evaluate` finds on the sample of train and on val, whose logits come with it; nothing without val."""
        found, logits, step = dict[str, float](), torch.empty(0, len(self.classes)), self.step
        for split, (videos, batches) in self.evaluated.items():
            title, targets = f"evaluate {split} {len(state.history) + 1}/{self.epochs}", videos.targets()
            with enough_memory(self.config, self.clips_per_pass):
                network, spec, on = step.kept, step.input, self.fabric
                figures, logits = evaluate.evaluate(network, spec, batches, targets, on, title, self.task, split)
            found |= figures
        return found, logits

    def end_epoch(self, state: TrainState, found: dict[str, float], logits: Tensor) -> None:
        """Note the epoch's loss and validation, and keep its weights if they are the best so far, or the last."""
        state.history.append({**state.means(), **found, "lr": state.lr})
        state.steps = {}
        clips = (self.batches.steps - self.batches.first) * self.config.train.batch
        state.speeds.append(speed.figures(self.timers[-1], clips, self.fabric.device))
        last = len(state.history) - 1
        epoch = evaluate.best(state.history, self.task) if found else last if last + 1 == self.stop else -1
        if epoch != state.best_epoch:
            state.best_epoch = epoch
            self.resume.keep_best(self.step.kept.state_dict(), logits)

    def save(self, state: TrainState) -> None:
        """Write the resume state, of all steps so far.

        Raises:
            UserError: the training has diverged; what was saved before stays.
        """
        self.under_way.read(state)
        state.scaler = self.step.scaler_state()
        self.resume.save(state, self.step.tensors(), self.step.optimizer.optimizer)

    def finish(self, state: TrainState, out: Path) -> None:
        """Write the best weights with all that made them, and delete the resume state."""
        if state.best_epoch < 0:
            raise UserError("No epoch ended with finite validation scores. Lower train.optim.lr.")
        if self.fabric.is_global_zero:
            key = evaluate.key(self.task)
            result = {"epoch": state.best_epoch, **({} if self.stop else {key: state.history[state.best_epoch][key]})}
            made = {"machines": state.machines, "train_videos": len(self.train_split), "result": result}
            weights, logits = self.resume.best()
            Checkpoint(weights, {**self.recipe, **made}, self.classes, self.step.input).write(out)
            self.resume.forget()
            log.info("the weights of epoch %d are kept", state.best_epoch + 1)
            if not self.stop:
                targets, pretrained = self.val_split.targets(), self.config.train.pretrained is not None
                for line in verdict.of_training(self.task, logits.numpy(), targets, state.history, pretrained):
                    log.info("%s", line)
        if self.timers:
            clips = (state.step - self.first_step) * self.config.train.batch
            _say(speed.summary(self.timers, clips, resumed=self.first_step > 0))
        distributed.close(self.fabric)

    def where(self, state: TrainState) -> str:
        """For messages: how far the training is."""
        return f"step {state.step} of {self.total_steps} ({self.resume.folder})"


@rank_zero_only
def _say(message: str) -> None:
    log.info("%s", message)
