"""Stages by the nodes of a Ray cluster (`machine.engine: ray`): the bytes of one run, though a node is killed."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pipeline.core import ray_engine
from pipeline.core.errors import UserError
from tests.core.test_processes import dies, fails_at_two
from tests.support import corpus, inference, ray_nodes, stage_process, tiny
from tests.support.stage_process import Running, contents, outs, run

pytestmark = pytest.mark.nightly


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    with ray_nodes.cluster() as started:
        yield started


@pytest.fixture
def gated_ffmpeg(tmp_path: Path) -> Path:
    """The pinned FFmpeg, which at its seventh call and after waits for the file `go` beside it."""
    script = tmp_path / "ffmpeg"
    script.write_text(
        f"""#!/bin/sh
        if [ "$1" != -version ]; then
            touch {tmp_path}/call-$$
            if [ $(ls {tmp_path} | grep -c call-) -gt 6 ]; then
                touch {tmp_path}/waits-$$
                while [ ! -e {tmp_path}/go ]; do sleep 0.1; done
            fi
        fi
        exec {corpus.FFMPEG} "$@"
        """
    )
    script.chmod(0o755)
    return script


def kill_a_node(cluster: Any, gate: Path) -> None:
    """As SIGKILL does, while the nodes wait in the middle; another takes its place, for the test that comes."""
    cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)
    gate.touch()
    cluster.add_node(num_cpus=1)


def test_extraction_of_which_a_node_is_killed_and_packing_give_the_bytes_of_one_run(
    cluster, clips, tmp_path, gated_ffmpeg
):
    alone = stage_process.make(tmp_path / "alone", clips)
    folder = stage_process.make(
        tmp_path / "ray", clips, "machine.engine=ray", "machine.workers=1", f"machine.ffmpeg={gated_ffmpeg}"
    )
    for stage in ("index", "extract", "pack"):
        assert run(stage, alone).status == 0
    assert run("index", folder).status == 0

    extract = Running("extract", folder, first=partial(ray_nodes.use, cluster.address))
    until(lambda: len(list(tmp_path.glob("waits-*"))) == 2, extract.process.is_alive, extract.kill)
    kill_a_node(cluster, tmp_path / "go")
    ended = extract.wait(300)
    assert ended.status == 0, ended.said
    assert contents_of("extract", folder) == contents_of("extract", alone)

    ended = Running("pack", folder, first=partial(ray_nodes.use, cluster.address)).wait(300)
    assert ended.status == 0, ended.said
    assert contents_of("pack", folder) == contents_of("pack", alone)


def contents_of(stage: str, folder: Path) -> dict[str, dict[str, bytes]]:
    return {out: contents(folder / out) for out in outs(stage)}


def test_inference_of_which_a_node_is_killed_gives_the_bytes_of_one_run(cluster, tmp_path):
    models = tmp_path / "models", tiny.corpus(tmp_path / "lmdb", **inference.VIDEOS)
    inference.write_model(models[0] / "net", seed=0)
    machine = json.dumps({"engine": "ray", "gate": str(tmp_path / "go")})
    scoring = subprocess.Popen(
        [sys.executable, inference.SCRIPT, tmp_path, tmp_path / "ray/out", machine, "net"],
        stderr=subprocess.PIPE, text=True, env=os.environ | {"RAY_ADDRESS": cluster.address},
    )  # fmt: skip
    scratch = tmp_path / "ray/work/infer"
    until(lambda: len(list(scratch.glob("*/lock-*-of-3"))) == 2, lambda: scoring.poll() is None, scoring.kill)
    assert not list(scratch.glob("*/*.npy"))
    kill_a_node(cluster, tmp_path / "go")
    _, said = scoring.communicate(timeout=300)
    assert scoring.returncode == 0, said
    inference.assert_same_files(inference.infer(models, tmp_path / "alone/out"), tmp_path / "ray/out/net")


def until(seen: Callable[[], bool], alive: Callable[[], bool], kill: Callable[[], None]) -> None:
    """Wait until something is seen; an end of the process that makes it, or minutes of delay, fail the test."""
    deadline = time.monotonic() + 300
    while not seen():
        time.sleep(0.01)
        if time.monotonic() > deadline:
            kill()  # or it would keep the nodes busy for the tests that come
        assert alive()


def test_errors_of_tasks_and_of_nodes_are_told_in_their_own_words(cluster, tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", cluster.address)
    with pytest.raises(UserError, match="^no 2$"):
        list(ray_engine.each(partial(fails_at_two, tmp_path), [1, 2], tmp_path))
    with pytest.raises(UserError, match="A task needs 2 CPUs and 0 GPUs, and no node of the Ray cluster has them"):
        list(ray_engine.each(partial(fails_at_two, tmp_path), [1], tmp_path, cpus=2))
    with pytest.raises(UserError, match="begun 6 times, and died as often.*raise machine.workers"):
        list(ray_engine.each(dies, [1], tmp_path))
    assert not list(tmp_path.glob(".ray-*"))


@pytest.mark.parametrize("address", ["127.0.0.1:1", "local"])
def test_that_no_cluster_runs_is_said_with_the_command_that_starts_one(tmp_path, monkeypatch, address):
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(UserError, match="no Ray cluster answers.*ray start --head"):
        list(ray_engine.each(dies, [1], tmp_path))
