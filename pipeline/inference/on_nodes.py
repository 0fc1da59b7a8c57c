"""Inference on a Ray cluster: each task scores a share of the chunks of videos, on a device of its own.

The node that hands out keeps other runs out and writes the predictions of the scores, which tasks leave in the cache.
"""

import platform
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from lightning_fabric import Fabric

from pipeline.clips.inputs import Store
from pipeline.core import ray_engine
from pipeline.core.errors import UserError
from pipeline.core.machine import Machine
from pipeline.core.progress_bar import progress_bar
from pipeline.core.share import Share
from pipeline.inference.job import Job
from pipeline.runtime import distributed, lease
from pipeline.runtime.signals import Stopped

SHARES = 2
"""Number of tasks for each device: every one loads the model, and the last ones alone leave devices idle."""


@dataclass(frozen=True)
class Scoring:
    """What a task needs to score a share; called with one, it gives the number of the share's videos."""

    prepare: Callable[..., Job]
    """Loads the model, and finds its cache: (data, fabric, machine) -> Job."""
    score: Callable[..., None]
    """`run.score`."""
    videos: list[str]
    store: Callable[[Path], Store]
    """Opens the store."""
    frames: Path
    """Folder of the packed frames, the flow or the sound."""
    cache: str
    """Name of the cache's folder, which all nodes must come to."""
    machine: Machine

    def __call__(self, share: Share) -> int:
        """Score the share on this node.

        Raises:
            UserError: this node has other weights, frames, code or libraries; or the model fails.
            Leaving: the node is to end; all scores so far are kept.
        """
        fabric, store = distributed.launch_one(self.machine), self.store(self.frames)
        job = self.prepare(data=(store, self.videos), fabric=fabric, machine=self.machine)
        if job.cache.folder.name != self.cache:
            raise UserError(
                f"The node {platform.node()} has other code, libraries, frames or weights of {job.predictor.name} "
                "than the node that hands out the work. Give all nodes the same."
            )
        try:
            with lease.hold(job.cache.lock_of(share), fabric, wait=True):
                self.score([job], self.videos, store, fabric, self.machine, share)
        except Stopped as stopped:
            raise ray_engine.Leaving(str(stopped)) from stopped
        return sum(len(job.cache.span(chunk)) for chunk in share.part(range(job.cache.chunks)))


def score(
    job: Job, prepare: Callable[..., Job], one_share: Callable[..., None], videos: list[str], store: Store,
    fabric: Fabric, machine: Machine,
) -> None:  # fmt: skip
    """Score what the cache of a job lacks, by the tasks of a Ray cluster; the caller holds the job's lease.

    Args:
        prepare: as in `Scoring`.
        one_share: `run.score`.

    Raises:
        UserError: there is no cluster, or no node in it that fits.
    """
    if not job.cache.lacking:
        return
    gpu, cpus = fabric.device.type == "cuda", machine.workers or machine.threads
    there = replace(machine, workers=cpus, devices=1, accelerator="gpu" if gpu else "cpu")
    scoring = Scoring(prepare, one_share, videos, type(store), store.root, job.cache.folder.name, there)
    with ray_engine.cluster(job.cache.folder, cpus, int(gpu)) as nodes:
        if not gpu and machine.accelerator != "cpu" and nodes.have("GPU"):
            raise UserError(
                "The Ray cluster has GPUs, and this node has none, but all score on the same kind of device. Run the "
                "stage on a node with a GPU, or set machine.accelerator: cpu in conf/config.yaml (`pipeline params`)."
            )
        number = min(job.cache.chunks, SHARES * nodes.slots())
        shares = [Share(place + 1, number) for place in range(number)]
        with progress_bar(total=len(videos), desc=f"infer {job.predictor.name}", unit="video") as bar:
            for _, scored in nodes.each(scoring, shares):
                bar.update(scored)
