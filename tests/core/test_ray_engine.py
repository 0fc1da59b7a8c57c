"""Work for the nodes of a Ray cluster: what a node must have, and what is said where there is no Ray.

Most of this needs no Ray; tests/reliability/test_ray.py starts a cluster.
"""

import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipeline.core import ray_engine
from pipeline.core.errors import UserError
from pipeline.core.share import Share
from tests.support import tiny


def test_that_ray_is_not_installed_is_said_with_the_command_that_does_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(
        UserError, match=r"The engine ray needs a package .*pip install .*'\.\[ray\]'.*machine\.engine: local"
    ):
        list(ray_engine.each(str, [1], tmp_path))


def test_nothing_to_do_needs_no_cluster(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    assert list(ray_engine.each(str, [], tmp_path)) == []


@pytest.fixture
def site(tmp_path, monkeypatch) -> ray_engine._Site:
    """A project, and the folder that all nodes share."""
    monkeypatch.chdir(tmp_path)  # and back to where it was, after the test
    for name in ("project", "work"):
        (tmp_path / name).mkdir()
    (tmp_path / "work/token").touch()
    return ray_engine._Site(tmp_path / "project", tmp_path / "work/token", ray_engine._code())


def test_a_task_runs_in_the_folder_of_the_project(site):
    assert ray_engine.task((site, lambda number: (number, Path.cwd())), 3) == (3, site.project)


@pytest.mark.parametrize("lacking", ["project", "work"])
def test_a_node_that_lacks_a_folder_is_named_with_it(site, lacking):
    folder = site.project.with_name(lacking)
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    with pytest.raises(UserError, match=f"The node {os.uname().nodename} does not see {folder} .*machine.scratch"):
        ray_engine.task((site, str), 1)


def test_a_node_with_a_folder_of_its_own_of_that_name_is_refused(site):
    site.token.unlink()
    with pytest.raises(UserError, match=f"does not see {site.token.parent}"):
        ray_engine.task((site, str), 1)


def test_a_node_with_other_code_is_refused(site):
    other = ray_engine._Site(site.project, site.token, "0")
    with pytest.raises(UserError, match="has other code in .*pipeline than"):
        ray_engine.task((other, str), 1)


NODES = [
    {"Alive": True, "Resources": {"CPU": 8.0, "GPU": 2.0}},
    {"Alive": True, "Resources": {"CPU": 3.0}},
    {"Alive": False, "Resources": {"CPU": 99.0, "GPU": 9.0}},
    {"Alive": True, "Resources": {"memory": 1.0}},
]


@pytest.mark.parametrize(("cpus", "gpus", "slots"), [(1, 0, 11), (3, 0, 3), (8, 0, 1), (1, 1, 2), (8, 1, 1)])
def test_the_slots_are_what_living_nodes_have_room_for(cpus, gpus, slots):
    nodes = ray_engine.Cluster(SimpleNamespace(nodes=lambda: NODES), site, cpus, gpus)
    assert nodes.slots() == slots


@pytest.mark.parametrize(("cpus", "gpus"), [(9, 0), (1, 3)])
def test_a_task_for_which_no_node_has_room_is_an_error_and_no_endless_wait(cpus, gpus):
    nodes = ray_engine.Cluster(SimpleNamespace(nodes=lambda: NODES), site, cpus, gpus)
    with pytest.raises(UserError, match=rf"{cpus} CPUs and {gpus} GPUs.*\(8 CPUs, 2 GPUs; 3 CPUs, 0 GPUs; .*ray start"):
        nodes.slots()


def test_a_share_and_an_engine_are_refused_together(tmp_path):
    engines = {name: tiny.machine(tmp_path, engine=name) for name in ("local", "ray")}
    assert engines["ray"].uses_ray(None)
    assert not engines["local"].uses_ray(Share(1, 2))
    with pytest.raises(UserError, match="--shard 1/2 .*machine.engine: local"):
        engines["ray"].uses_ray(Share(1, 2))
