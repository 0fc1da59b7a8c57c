"""Companions (`infer.together`): other models whose views are scored in the same pass of decoding.

Their scores wait in their caches for their own stages. The stage goes on without a companion that fails.
"""

import logging
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path

import torch
from lightning_fabric import Fabric

from pipeline.clips.views import ViewConfig
from pipeline.core.errors import UserError
from pipeline.core.manifest import Manifest
from pipeline.inference.job import Job
from pipeline.inference.predictor import Predictor
from pipeline.predictions.table import FINAL, SPLITS, PredictionTable
from pipeline.runtime import distributed, lease

log = logging.getLogger(__name__)

Prepare = Callable[[Path, ViewConfig], Job]
"""Makes the job of a model: (folder of its checkpoint, how it is tested) -> Job; a UserError where it does not load."""


def find(
    models: Mapping[Path, ViewConfig], prepare: Prepare, predictions: Path, manifest: Manifest, held: ExitStack,
    fabric: Fabric,
) -> list[Job]:  # fmt: skip
    """The jobs of other models that can be done in the same pass.

    These are the models that load in every process, that no other run is scoring, and whose predictions are not there.

    Args:
        models: folder of a model's checkpoint -> how it is tested.
        prepare: called for each model, which is left out where it raises UserError.
        predictions: holds a folder with the prediction files of each model.
        manifest: the videos that are predicted.
        held: keeps the leases of the jobs until it is closed.
    """
    found = []
    for weights, config in models.items():
        job = _load(prepare, weights, config, fabric)
        if job is None or not held.enter_context(lease.hold(job.cache.lock, fabric, wait=False)):
            continue
        if not _is_done(job, predictions / weights.name, manifest, fabric):  # asked under the lease: it may just end
            found.append(job)
        elif fabric.is_global_zero:
            job.cache.delete()
    return found


def _load(prepare: Prepare, weights: Path, config: ViewConfig, fabric: Fabric) -> Job | None:
    """The job of a model; None where one of the processes cannot load it."""
    job = None
    try:
        job = prepare(weights, config)
        job.is_companion = True
    except (UserError, torch.OutOfMemoryError) as error:  # its own stage will say so again, and fail
        log.info("without %s: %s", weights.name, error)
    return job if lease.agree(job and job.cache.folder.name, fabric) else None


def _is_done(job: Job, out: Path, manifest: Manifest, fabric: Fabric) -> bool:
    """Whether the folder `out` holds the predictions of a job; the first process looks for all."""
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
