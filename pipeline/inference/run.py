"""Inference: a trained model and the views of every val and test video -> prediction files, on one device or many.

A video is read and decoded once for all its views, and for several models where `infer.together` is on. Views that
show the same pixels are computed once. A forward pass holds views of one video alone, or of `machine.videos_per_pass`
that are always the same ones, so scores are the same to the bit by however many processes and beside whichever models
the videos are scored. A run that was killed goes on with the scores that it has. A broken video gets the class prior as
its scores; so does one without sound or flow from a model that takes that, to which it is `unseen`.
"""

import logging
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, cast

import numpy as np
from lightning_fabric import Fabric

from pipeline.class_stats import ClassStatistics
from pipeline.clips.dataset import DecodedVideo
from pipeline.clips.device_decoding import DeviceDecoder, EncodedVideoDataset
from pipeline.clips.inputs import Store
from pipeline.clips.loader import loader
from pipeline.clips.views import ViewConfig, ViewGrid
from pipeline.core import checksums, files
from pipeline.core.errors import UserError
from pipeline.core.machine import Machine
from pipeline.core.manifest import Manifest
from pipeline.core.progress_bar import progress_bar
from pipeline.core.share import Share
from pipeline.inference import companions, on_nodes
from pipeline.inference.job import Job
from pipeline.inference.predictor import Predictor
from pipeline.predictions.table import FINAL, SPLITS
from pipeline.predictions.view_scores import write_split
from pipeline.runtime import distributed, fingerprint, lease, signals
from pipeline.runtime.chunk_cache import ChunkCache
from pipeline.runtime.progress import Timer, duration, rate
from pipeline.runtime.signals import Request, Stopped
from pipeline.runtime.transfer import Upload

log = logging.getLogger(__name__)

CODE = (
    *("core", "runtime", "clips", "class_stats.py", "layers", "predictions/table.py", "predictions/view_scores.py"),
    "inference",
)
"""Folders and files of `pipeline` that scores depend on, besides the model's own file; dvc.yaml lists the same."""

Item = tuple[int, list[int]]
"""Number of a video, and the positions of the jobs that lack its scores."""


@dataclass(frozen=True)
class InferConfig:
    """Section `infer` of params.yaml. It changes no byte of any file, so no stage depends on it."""

    together: bool
    """Whether a stage also scores the other models of the set that are trained and have no such predictions yet."""


def run_inference(
    name: str, tests: Mapping[str, ViewConfig], corpus: Manifest, store: Store, statistics: ClassStatistics,
    weights: Path, out: Path, machine: Machine, share: Share | None = None,
) -> ViewGrid | None:  # fmt: skip
    """Score the val and test videos of a model and write its prediction files to the folder `out`.

    Args:
        tests: how models are tested. Those besides `name` are scored in the same pass of decoding, if they are trained,
            lack predictions of these videos and views, and no other run is scoring them. They read the same store.
        weights: folder of the model's checkpoint; the others' lie beside it, and so do their predictions beside `out`.
        share: the chunks of videos that are scored here, where other calls score the others and share the scratch
            folder. `out` is written by the call after which all have scores.

    Returns:
        The views, or None where `out` is not written, as other shares are missing.

    Raises:
        UserError: the model does not fit the corpus or its checkpoint, or gives scores that are not finite; or the
            processes do not share one scratch folder.
        Stopped: SIGTERM or SIGINT came; all scores so far are kept, and the same call goes on from there.
    """
    on_ray = machine.uses_ray(share)
    fabric = distributed.launch_one(machine) if on_ray else distributed.launch(machine)
    manifest = _predicted(corpus)
    videos = [video for video in manifest.videos if video in store]
    classes = (statistics.classes, corpus.classes)
    prepare = partial(_prepare, data=(store, videos), classes=classes, fabric=fabric, machine=machine)
    own = prepare(weights, tests[name])
    if not lease.agree(own.cache.folder.name, fabric):
        raise UserError(f"The processes see different code, frames or weights of {name}. Give all nodes the same.")
    _name_leftovers(own)
    others = {weights.with_name(other): tests[other] for other in sorted(set(tests) - {name})}
    if share and not _score_share(share, own, videos, store, fabric, machine):
        distributed.close(fabric)
        return None
    with ExitStack() as held:
        held.enter_context(lease.hold(own.cache.lock, fabric, wait=True))
        if on_ray:
            of_task = partial(_prepare, weights, tests[name], classes=classes)
            on_nodes.score(own, of_task, score, videos, store, fabric, machine)
        else:
            jobs = [own, *companions.find(others, prepare, out.parent, manifest, held, fabric)]
            score(jobs, videos, store, fabric, machine)
        if fabric.is_global_zero:
            write(own, corpus, store, statistics, out)
            if not share:  # of several that end at once, each may write, and so may one that is started again
                own.cache.delete()
        fabric.barrier()
    distributed.close(fabric)
    return own.predictor.grid


def score(
    jobs: Sequence[Job], videos: Sequence[str], store: Store, fabric: Fabric, machine: Machine,
    share: Share | None = None,
) -> None:  # fmt: skip
    """Score what the caches of the jobs still lack, all or of a share, in one pass over the videos.

    Raises:
        Stopped: SIGTERM or SIGINT came.
    """
    chunks = range(jobs[0].cache.chunks)
    todo = _unfinished(jobs, share.part(chunks) if share else chunks)
    if not lease.agree(list(todo.items()), fabric):  # which takes until all have looked: none writes before
        raise lease.unshared(jobs[0].cache.folder)
    mine = [item for chunk in distributed.share(list(todo), fabric) for item in todo[chunk]]
    specs = [(videos[video], [jobs[j].predictor.view_spec for j in lacking]) for video, lacking in mine]
    workers = max(1, machine.processes // distributed.local_processes(fabric))
    clip, source = jobs[0].predictor.clip, cast(Any, store)  # of the kind that the clip takes
    on_device = machine.decode == "device" and clip.input == "frames"
    videos_of: Any = EncodedVideoDataset(specs, source) if on_device else clip.decoded(specs, source)
    receive = DeviceDecoder(source, fabric.device) if on_device else partial(_uploaded, Upload(fabric.device))
    decoded = loader(videos_of, workers, fabric.device.type == "cuda", batch_size=None)
    timer, total = Timer(), sum(map(len, todo.values()))
    with signals.listen() as stop, closing(timer.waits(decoded)) as arriving:  # its workers leave here, in any case
        _score_all(jobs, zip(mine, map(receive, arriving), strict=True), total, timer, stop, fabric)
    fabric.barrier()  # all have written before any reads
    if total and fabric.is_global_zero:
        _log_speed(jobs, total, timer)


def write(job: Job, corpus: Manifest, store: Store, statistics: ClassStatistics, out: Path) -> None:
    """Write the prediction files of a job whose cache is complete.

    Raises:
        UserError: a score is not finite, or missing.
    """
    scores, predictor = job.scores(), job.predictor
    with files.aside(out) as partial_out:
        partial_out.mkdir()
        for split in SPLITS:
            videos = corpus.split(split).videos
            lost = np.array([video not in store for video in videos], bool)
            broken = np.array([store.broken(video) for video in videos], bool)
            unseen = lost & ~broken
            write_split(
                partial_out, split, corpus, broken, islice(scores, int((~lost).sum())), statistics.prior,
                predictor.grid.describe(), FINAL, predictor.meta, predictor.task, unseen if unseen.any() else None,
            )  # fmt: skip
        checksums.seal(partial_out)


def describe(grid: ViewGrid) -> Mapping[str, Any]:
    """Protocol -> the number of views that it averages."""
    return {name: len(positions) for name, positions in grid.protocols.items()}


def _predicted(corpus: Manifest) -> Manifest:
    """The videos of all splits that are predicted, split by split."""
    table = corpus.table.set_index("split", drop=False)
    return Manifest(table.loc[list(SPLITS)].reset_index(drop=True), corpus.classes)


def _prepare(
    weights: Path, config: ViewConfig, data: tuple[Store, list[str]], classes: Sequence[tuple[str, ...]],
    fabric: Fabric, machine: Machine,
) -> Job:  # fmt: skip
    """Load a model, and find its cache by all that its scores depend on.

    Args:
        data: the store, and the videos that have frames.
        classes: those of the files that the predictions are made with, each of which must be the model's.

    Raises:
        UserError: the checkpoint is missing or damaged, or of other classes.
    """
    predictor = Predictor(weights, config, fabric, machine)
    for names in classes:
        predictor.check(names)
    store, videos = data
    rounding = [machine.threads, machine.views_per_pass, machine.videos_per_pass]  # they decide on the last bits
    code = fingerprint.code(*CODE, f"models/{predictor.meta['arch']}.py")
    folder = files.folder_of(
        Path(machine.scratch) / "infer", predictor.name, predictor.meta, rounding, predictor.grid.describe(),
        [store.content_key(predictor.grid.sides), videos], code, fingerprint.versions(predictor.meta["arch"]),
    )  # fmt: skip
    shape = len(predictor.grid), len(predictor.checkpoint.classes)
    return Job(predictor, ChunkCache(folder, len(videos), shape))


def _name_leftovers(job: Job) -> None:
    if not job.cache.begun and (others := files.others(job.cache.folder)):
        log.info(
            "%s holds unfinished scores of this model with other views, weights, code, versions or data, which do not "
            "go on: go back to what made them, or delete it.",
            others[0],
        )


def _score_share(share: Share, job: Job, videos: Sequence[str], store: Store, fabric: Fabric, machine: Machine) -> bool:
    """Score a share, beside other runs that score theirs; whether all videos have scores then."""
    with (
        lease.hold(job.cache.lock, fabric, wait=True, shared=True),
        lease.hold(job.cache.lock_of(share), fabric, wait=True),
    ):
        score([job], videos, store, fabric, machine, share)
    lacking = job.cache.lacking if fabric.is_global_zero else 0
    (lacking,) = map(int, distributed.add([float(lacking)], fabric))
    if lacking:
        log.info(
            "%d of %d chunks lack scores; who adds the last of them writes the predictions", lacking, job.cache.chunks
        )
    return not lacking


def _unfinished(jobs: Sequence[Job], chunks: Sequence[int]) -> dict[int, list[Item]]:
    """Chunk -> its videos that some job lacks the scores of."""
    todo = {}
    for chunk in chunks:
        have = [job.cache.count(chunk) for job in jobs]
        span = jobs[0].cache.span(chunk)
        items = [(v, [j for j, n in enumerate(have) if n <= v - span.start]) for v in span[min(have) :]]
        if items:
            todo[chunk] = items
    return todo


def _score_all(
    jobs: Sequence[Job], arriving: Iterator[tuple[Item, DecodedVideo]], total: int, timer: Timer, stop: Request,
    fabric: Fabric,
) -> None:  # fmt: skip
    """Score the videos of this process, in step with the others, until no process has one left or a signal comes."""
    done, title = 0, f"infer {', '.join(job.predictor.name for job in jobs)}"
    with progress_bar(total=total, desc=title, unit="video", disable=not fabric.is_global_zero) as bar:
        while True:
            scored = _score_next(jobs, arriving)
            stopping, count = distributed.add([float(bool(stop.number)), float(scored)], fabric)
            done += int(count)
            if stopping:
                for job in jobs:
                    job.save()
                raise Stopped(stop.number or signal.SIGTERM, f"{done} of {total} videos")
            if not count:
                return
            left = duration((total - done) * timer.elapsed / done)
            bar.set_postfix(waiting=f"{timer.waiting:.0%}", left=left, refresh=False)  # `update` does, now and then
            bar.update(int(count))


def _uploaded(upload: Upload, decoded: DecodedVideo) -> DecodedVideo:
    return DecodedVideo({side: upload(frames) for side, frames in decoded.frames.items()}, decoded.crops)


def _score_next(jobs: Sequence[Job], arriving: Iterator[tuple[Item, DecodedVideo]]) -> bool:
    """Score the next video for the jobs that lack it; False where this process has none left."""
    arrived = next(arriving, None)
    if arrived is None:
        return False
    (video, lacking), decoded = arrived
    for j, crops in zip(lacking, decoded.crops, strict=True):
        jobs[j].add(video, decoded.frames, crops)
    return True


def _log_speed(jobs: Sequence[Job], videos: int, timer: Timer) -> None:
    log.info(
        "scored %d videos in %s: %s, %.0f%% of it waiting for data",
        videos, duration(timer.elapsed), rate(videos, timer.elapsed, "video"), 100 * timer.waiting,
    )  # fmt: skip
    for job in jobs:
        if job.all_views:
            of_each = len(job.predictor.grid)
            mean = of_each * job.computed_views / job.all_views
            log.info("%s: %.1f of the %d views of a video are distinct", job.predictor.name, mean, of_each)
