"""What a task of Ray does to score a share, called here without Ray."""

import contextlib
from functools import partial
from types import SimpleNamespace

import pytest
import torch

from pipeline.core import ray_engine
from pipeline.core.errors import UserError
from pipeline.core.ray_engine import Leaving
from pipeline.core.share import Share
from pipeline.inference import on_nodes, run
from pipeline.runtime.signals import Stopped
from tests.support import tiny
from tests.support.inference import BOTH, assert_same_files, cache_of, infer, scored_models


@pytest.fixture
def scoring(models, tmp_path, monkeypatch) -> on_nodes.Scoring:
    folder, (manifest, store, _) = models
    cache = cache_of(models, tmp_path / "out", monkeypatch, "net")
    prepare = partial(run._prepare, folder / "net", BOTH["net"], classes=(manifest.classes,))
    videos = [video for video in run._predicted(manifest).videos if video in store]
    machine = tiny.machine(tmp_path / "work")
    return on_nodes.Scoring(prepare, run.score, videos, type(store), store.root, cache.name, machine)


def test_the_shares_are_what_the_run_lacks_and_give_its_bytes(models, whole, scoring, tmp_path, monkeypatch):
    monkeypatch.setenv("SLURM_NTASKS", "8")  # of a job in which Ray was started: a task is alone on its device
    monkeypatch.setenv("SLURM_JOB_NAME", "job")
    assert [scoring(Share(number, 2)) for number in (1, 2)] == [16 + 6, 16]
    monkeypatch.delenv("SLURM_JOB_NAME")
    scored = scored_models(monkeypatch)
    assert_same_files(whole, infer(models, tmp_path / "out"))
    assert not scored


def test_a_node_that_comes_to_another_cache_is_refused(scoring):
    other = on_nodes.Scoring(**{**vars(scoring), "cache": "net-0"})
    with pytest.raises(UserError, match="has other code, libraries, frames or weights of net than the node that hands"):
        other(Share(1, 2))


def test_a_task_that_is_told_to_stop_lets_another_go_on(scoring):
    def stopped(*_):
        raise Stopped(15, "3 of 22 videos")

    leaving = on_nodes.Scoring(**{**vars(scoring), "score": stopped})
    with pytest.raises(Leaving, match="3 of 22 videos"):
        leaving(Share(1, 2))


def test_a_complete_cache_needs_no_cluster(models, whole, scoring, tmp_path):
    for number in (1, 2):
        scoring(Share(number, 2))
    assert_same_files(whole, infer(models, tmp_path / "out", engine="ray"))


@pytest.mark.parametrize(("accelerator", "refused"), [("auto", True), ("cpu", False)])
def test_cpus_do_not_score_in_silence_what_gpus_could(models, tmp_path, monkeypatch, accelerator, refused):
    """The nodes say that they have GPUs; a cluster that has none is in tests/reliability/test_ray.py."""
    resources = {"CPU": 4.0, "GPU": 2.0}
    ray = SimpleNamespace(cluster_resources=lambda: resources, nodes=lambda: [{"Alive": True, "Resources": resources}])
    nodes = ray_engine.Cluster(ray, None, 1, 0)
    asked = []
    monkeypatch.setattr(ray_engine.Cluster, "each", lambda _, work, shares: asked.append(shares) or [])
    monkeypatch.setattr(ray_engine, "cluster", lambda folder, cpus, gpus: contextlib.nullcontext(nodes))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    run_it = partial(infer, models, tmp_path / "out", engine="ray", accelerator=accelerator)
    with pytest.raises(UserError, match="has GPUs, and this node has none" if refused else "holds 0 videos, not"):
        run_it()
    assert asked == ([] if refused else [[Share(1, 3), Share(2, 3), Share(3, 3)]])
