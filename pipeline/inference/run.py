"""run(): trained models x the views of every video -> scores, restartable at any video, on one device or many.

A video is read and decoded once for all its views, and for several models where `infer.together` is on. Views that
show the same frames are computed once. The forward passes of a video hold views of this video alone: so its scores are
the same to the bit in whatever order, by however many processes and beside whichever models the videos are scored.
Broken videos are not skipped: they are answered with the prior.
"""

import logging
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from tqdm import tqdm

from pipeline.class_stats import ClassStatistics
from pipeline.clips.dataset import Cut, SeenVideos
from pipeline.clips.frame_store import FrameStore
from pipeline.clips.loader import loader
from pipeline.clips.views import ViewConfig, ViewGrid
from pipeline.core import files
from pipeline.core.errors import UserError
from pipeline.core.machine import Machine
from pipeline.core.manifest import Manifest
from pipeline.inference import score_cache
from pipeline.inference.predictor import Predictor
from pipeline.inference.score_cache import Blocks
from pipeline.predictions.table import FINAL, SPLITS, PredictionTable, write_split
from pipeline.runtime import distributed, fingerprint, signals
from pipeline.runtime.progress import Timer, duration
from pipeline.runtime.signals import Stopped

log = logging.getLogger(__name__)

CODE = ("core", "runtime", "clips", "class_stats.py", "layers", "predictions/table.py", "inference")
"""What scores depend on besides the model's own file; dvc.yaml lists the same."""
PAUSE = 1.0
"""Seconds between two looks at whether another run has finished."""


@dataclass(frozen=True)
class InferConfig:
    """Section `infer` of params.yaml. It changes no byte of any file, so that no stage depends on it."""

    together: bool
    """Whether a stage also scores the other models of the set that are trained and have no such predictions yet."""


@dataclass
class Job:
    """What one model has to do, and has done."""

    predictor: Predictor
    blocks: Blocks
    distinct: int = 0
    """Views that were computed,"""
    named: int = 0
    """of so many."""


def run_inference(
    name: str, tests: Mapping[str, ViewConfig], corpus: Manifest, store: FrameStore, statistics: ClassStatistics,
    weights: Path, out: Path, machine: Machine,
) -> ViewGrid:  # fmt: skip
    """Score the val and test videos of a model and write its prediction files to the folder `out`.

    Args:
        tests: how models are tested. Those besides `name` are scored in the same pass of decoding, if they are trained,
            lack predictions of these videos and views, and no other run is at them; theirs wait in the scratch folder.
        weights: folder of the model's checkpoint; the others' lie beside it, and so do their predictions beside `out`.

    Raises:
        UserError: the model does not fit the corpus or its checkpoint, or gives scores that are not finite; or the
            processes do not share one scratch folder.
        Stopped: SIGTERM or SIGINT came; all scores so far are kept, and the same call goes on from there.
    """
    fabric = distributed.launch(machine)
    manifest = _predicted(corpus)
    videos = [video for video in manifest.videos if video in store]
    data = [store.content_key(), videos]

    def job(weights: Path, config: ViewConfig) -> Job:
        predictor = Predictor(weights, config, fabric, machine)
        predictor.check(statistics.classes)
        predictor.check(corpus.classes)
        folder = files.folder_of(
            Path(machine.scratch) / "infer", predictor.name, predictor.meta, predictor.exact, predictor.grid.describe(),
            data, fingerprint.code(*CODE, f"models/{predictor.meta['arch']}.py"), fingerprint.versions(),
        )  # fmt: skip
        return Job(predictor, Blocks(folder, len(videos), (len(predictor.grid), len(corpus.classes))))

    own = job(weights, tests[name])
    if not _agree(own.blocks.folder.name, fabric):
        raise UserError(f"The processes see different code, frames or weights of {name}. Give all nodes the same.")
    _name_leftovers(own)
    with ExitStack() as held:
        _hold(own, held, fabric, wait=True)
        jobs = [own]
        for other in sorted(set(tests) - {name}):
            companion = _companion(job, weights.with_name(other), tests[other], fabric)
            if not companion or not _hold(companion, held, fabric, wait=False):
                continue
            if not _is_done(companion, out.with_name(other), manifest, fabric):
                jobs.append(companion)
            elif fabric.is_global_zero:
                companion.blocks.forget()
        score(jobs, videos, store, fabric, machine)
        if fabric.is_global_zero:
            write(own, corpus, store, statistics, out)
        fabric.barrier()
    distributed.close(fabric)
    return own.predictor.grid


def score(jobs: Sequence[Job], videos: Sequence[str], store: FrameStore, fabric: Fabric, machine: Machine) -> None:
    """Fill the blocks of every job with what they still lack, in one pass over the videos.

    Raises:
        Stopped: SIGTERM or SIGINT came.
    """
    todo = _unfinished(jobs)
    if not _agree(list(todo.items()), fabric):  # which takes until all have looked: none writes before
        raise _unshared(jobs[0])
    mine = [item for block in distributed.share(list(todo), fabric) for item in todo[block]]
    looks = [(videos[video], [jobs[j].predictor.look for j in who]) for video, who in mine]
    workers = max(1, machine.processes // distributed.local_processes(fabric))
    seen = loader(SeenVideos(looks, store), workers, fabric.device.type == "cuda", batch_size=None)
    watch, done, rows = Timer(), 0, _Rows(jobs)
    total = sum(map(len, todo.values()))
    title = f"infer {', '.join(job.predictor.name for job in jobs)}"
    with (
        signals.listen() as request,
        closing(watch.waits(seen)) as arrivals,  # its workers leave here, whatever happens
        tqdm(total=total, desc=title, unit="video", disable=not fabric.is_global_zero) as bar,
    ):
        arriving = zip(mine, arrivals, strict=True)
        while True:
            item = next(arriving, None)
            if item is not None:
                (video, who), found = item
                frames = found.to(fabric.device).frames
                for j, cuts in zip(who, found.cuts, strict=True):
                    rows.add(j, video, frames, cuts)
            stop, busy = distributed.add([float(bool(request.number)), float(item is not None)], fabric)
            if stop:
                rows.save()
                raise Stopped(request.number or signal.SIGTERM, f"{done + busy:.0f} of {total} videos")
            if not busy:
                break
            done += int(busy)
            left = duration((total - done) * watch.elapsed / done)
            bar.set_postfix(waiting=f"{watch.waiting:.0%}", left=left, refresh=False)  # `update` does, now and then
            bar.update(int(busy))
    fabric.barrier()  # all have written before any reads
    if done and fabric.is_global_zero:
        _tell(jobs, done, watch)


def write(job: Job, corpus: Manifest, store: FrameStore, statistics: ClassStatistics, out: Path) -> None:
    """Write the prediction files of a job whose blocks are finished, and delete the blocks."""
    scored, predictor = _finite(job), job.predictor
    with files.aside(out) as partial:
        partial.mkdir()
        for split in SPLITS:
            broken = np.array([video not in store for video in corpus.split(split).videos], bool)
            write_split(
                partial, split, corpus, broken, islice(scored, int((~broken).sum())), statistics.prior,
                predictor.grid.describe(), FINAL, predictor.meta,
            )  # fmt: skip
    job.blocks.forget()


def describe(grid: ViewGrid) -> Mapping[str, Any]:
    """How many views each protocol averages."""
    return {name: len(positions) for name, positions in grid.protocols.items()}


class _Rows:
    """The scores of the block that each job is at, on their way to its file.

    The first job is the stage's own. Another that fails is left to its own stage; no collective waits for it.
    """

    def __init__(self, jobs: Sequence[Job]) -> None:
        self.jobs = jobs
        self.failed: set[int] = set()
        self.block: list[int | None] = [None] * len(jobs)
        self.rows: list[list[np.ndarray]] = [[] for _ in jobs]

    def add(self, number: int, video: int, frames: Mapping[int, torch.Tensor], cuts: Sequence[Cut]) -> None:
        """Score a video, and write its block if it was the last of it."""
        if number in self.failed:
            return
        try:
            self._add(number, video, frames, cuts)
        except Exception as error:
            if number == 0:
                raise
            log.warning("without %s, which fails: %s", self.jobs[number].predictor.name, error)
            self.failed.add(number)
            self.block[number] = None

    def _add(self, number: int, video: int, frames: Mapping[int, torch.Tensor], cuts: Sequence[Cut]) -> None:
        job = self.jobs[number]
        block = video // score_cache.SIZE
        if self.block[number] is None:
            self.block[number], self.rows[number] = block, list(job.blocks.rows(block))
        self.rows[number].append(job.predictor.score(frames, cuts))
        job.distinct, job.named = job.distinct + len(set(cuts)), job.named + len(cuts)
        if video == job.blocks.span(block)[-1]:
            self._write(number)

    def save(self) -> None:
        """Write what there is of unfinished blocks."""
        for number, block in enumerate(self.block):
            if block is not None:
                self._write(number)

    def _write(self, number: int) -> None:
        block = self.block[number]
        assert block is not None
        self.jobs[number].blocks.write(block, np.stack(self.rows[number]))
        self.block[number] = None


def _unfinished(jobs: Sequence[Job]) -> dict[int, list[tuple[int, list[int]]]]:
    """Block -> its videos that lack scores, and the jobs that lack them."""
    todo = {}
    for block in range(len(jobs[0].blocks)):
        have = [job.blocks.count(block) for job in jobs]
        span = jobs[0].blocks.span(block)
        items = [(v, [j for j, n in enumerate(have) if n <= v - span.start]) for v in span[min(have) :]]
        if items:
            todo[block] = items
    return todo


def _finite(job: Job) -> Iterator[np.ndarray]:
    """The scores of every video; those that are not finite are refused, and deleted with all others."""
    for scores in job.blocks.scores():
        if not np.isfinite(scores).all():
            job.blocks.forget()
            raise UserError(
                f"Model {job.predictor.name} gives scores that are not finite. Train it anew at a lower lr."
            )
        yield scores


def _companion(job: Callable[[Path, ViewConfig], Job], weights: Path, config: ViewConfig, fabric: Fabric) -> Job | None:
    """Another model that can be scored in the same pass; None where one of the processes cannot load it."""
    made = None
    try:
        made = job(weights, config)
    except (UserError, torch.OutOfMemoryError) as error:  # its own stage will say so again, and fail
        log.info("without %s: %s", weights.name, error)
    return made if _agree(made and made.blocks.folder.name, fabric) else None


def _is_done(job: Job, out: Path, manifest: Manifest, fabric: Fabric) -> bool:
    """Whether the predictions of a job that is held lie in `out`. The first process looks for all."""
    (there,) = distributed.add([float(fabric.is_global_zero and _has(out, job.predictor, manifest))], fabric)
    return there > 0


def _has(out: Path, predictor: Predictor, manifest: Manifest) -> bool:
    wanted = {"checkpoint": predictor.meta["checkpoint"], "protocol": FINAL, **predictor.grid.describe()}
    try:
        tables = [PredictionTable.read(out / f"{split}.parquet") for split in SPLITS]
    except UserError:  # there are none yet
        return False
    same = [video for table in tables for video in table.videos] == manifest.videos
    return same and all(wanted.items() <= table.meta.items() for table in tables)


def _hold(job: Job, held: ExitStack, fabric: Fabric, *, wait: bool) -> bool:
    """Keep other runs from a job's blocks; false where one is at them. The first process asks for all.

    None of them waits for another longer than a moment: their collectives have a time limit, and other runs have none.
    """
    folder, told = job.blocks.folder, False
    while True:
        with ExitStack() as attempt:
            got = fabric.is_global_zero and attempt.enter_context(score_cache.hold(folder))
            (holders,) = distributed.add([float(got)], fabric)
            if holders:
                held.enter_context(attempt.pop_all())
                break
        if not wait:
            return False
        if not told:
            log.info("waiting for another run that writes %s", folder)
        told = True
        time.sleep(PAUSE)
    (seeing,) = distributed.add([float(score_cache.is_held(folder))], fabric)
    if seeing < fabric.world_size:
        raise _unshared(job)
    return True


def _agree(value: Any, fabric: Fabric) -> bool:
    """Whether this plain value is the same in all processes: all get the same answer."""
    number = int(files.fingerprint(value)[:12], 16)
    (first,) = distributed.add([number * fabric.is_global_zero], fabric)
    (others,) = distributed.add([float(number != first)], fabric)
    return others == 0


def _unshared(job: Job) -> UserError:
    return UserError(
        f"The processes do not see the same files under {job.blocks.folder}: machine.scratch must name a folder that "
        "all nodes share."
    )


def _predicted(corpus: Manifest) -> Manifest:
    """The videos of all splits that are predicted, split by split."""
    table = corpus.table.set_index("split", drop=False)
    return Manifest(table.loc[list(SPLITS)].reset_index(drop=True), corpus.classes)


def _name_leftovers(job: Job) -> None:
    if not job.blocks.begun and (others := files.others(job.blocks.folder)):
        log.info(
            "%s holds unfinished scores of this model with other views, weights, code, versions or data, which do not "
            "go on: go back to what made them, or delete it.",
            others[0],
        )


def _tell(jobs: Sequence[Job], videos: int, watch: Timer) -> None:
    log.info(
        "scored %d videos in %s: %.1f videos/s, %.0f%% of it waiting for data",
        videos, duration(watch.elapsed), videos / watch.elapsed, 100 * watch.waiting,
    )  # fmt: skip
    for job in jobs:
        if job.named:
            views_each = len(job.predictor.grid)
            mean = views_each * job.distinct / job.named
            log.info("%s: %.1f of the %d views of a video are distinct", job.predictor.name, mean, views_each)
