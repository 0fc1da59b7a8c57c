"""Work for the nodes of a Ray cluster (`machine.engine: ray`): a task an item, and another one where a node dies.

What goes over the wire is what to do and that it is done. Videos, frames and finished pieces lie in folders that all
nodes share, and each task looks first whether its node sees them, and runs the same code.
"""

import logging
import math
import os
import platform
import signal
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import pipeline
from pipeline.core import files
from pipeline.core.errors import UserError

A = TypeVar("A")
B = TypeVar("B")

RETRIES = 5
"""How often a task is begun again whose node or process has died."""
LOOK_SECONDS = 10.0
"""Seconds between two looks whether there are nodes left."""
CONNECT_SECONDS = 10.0
"""Seconds that the cluster of RAY_ADDRESS has to answer."""
ROOT = Path(pipeline.__file__).parents[1]
PASSED_ON = ("GOMP_SPINCOUNT",)
"""Variables of the environment that tasks get besides: how PyTorch's threads wait, which stages/__init__.py says."""


class Leaving(Exception):
    """Raised in a task that has been told to end, as its node does: another one goes on."""


@dataclass(frozen=True)
class _Site:
    """What a node must have in common with the one that hands out."""

    project: Path
    token: Path
    """A file in the folder that all share."""
    code: str

    def enter(self) -> None:
        """Go to the project's folder.

        Raises:
            UserError: this node does not see it, or the shared folder, or runs other code.
        """
        if not self.project.is_dir() or not self.token.is_file():
            lacking = self.token.parent if self.project.is_dir() else self.project
            raise UserError(
                f"The node {platform.node()} does not see {lacking} as the node does that hands out the work. With "
                "machine.engine: ray, the project, its data and machine.scratch lie on a file system that all nodes "
                "share, under the same path. Mount it there, or take the node out of the cluster (`ray stop` on it)."
            )
        os.chdir(self.project)
        if self.code != _code():
            raise UserError(
                f"The node {platform.node()} has other code in {ROOT / 'pipeline'} than the node that hands out the "
                "work, or it has just changed. Give all nodes the same, and start again."
            )


@dataclass(frozen=True)
class Cluster:
    """The nodes that are connected, for tasks that need so many CPUs and GPUs each."""

    ray: Any
    site: _Site
    cpus: int
    gpus: int

    def each(self, work: Callable[[A], B], items: Iterable[A]) -> Iterator[tuple[A, B]]:
        """Pairs (item, its result) as they are done; the tasks of a node that dies are begun again on others.

        Args:
            work: a function of a module, or a `partial` of one: what it gets and gives is pickled. It runs in the
                project's folder. It may run again, or at first still on a node that was taken for dead.

        Raises:
            UserError: no node is left that fits, or a task has died too often.
            Exception: what `work` has raised.
        """
        options = {"num_cpus": self.cpus, "num_gpus": self.gpus, "max_retries": RETRIES, "retry_exceptions": [Leaving]}
        begin, given = self.ray.remote(**options)(task), self.ray.put((self.site, work))
        waiting = {begin.remote(given, item): item for item in items}
        while waiting:
            self.slots()
            done, _ = self.ray.wait(list(waiting), timeout=LOOK_SECONDS)
            for reference in done:
                yield waiting.pop(reference), self._result(reference)

    def slots(self) -> int:
        """The number of tasks that the nodes run at a time.

        Raises:
            UserError: not one.
        """
        nodes = [node["Resources"] for node in self.ray.nodes() if node["Alive"]]
        found = sum(
            min(int(node.get("CPU", 0) / self.cpus), int(node.get("GPU", 0) / self.gpus) if self.gpus else math.inf)
            for node in nodes
        )
        if not found:
            has = "; ".join(f"{node.get('CPU', 0):g} CPUs, {node.get('GPU', 0):g} GPUs" for node in nodes)
            raise UserError(
                f"A task needs {self.cpus} CPUs and {self.gpus} GPUs, and no node of the Ray cluster has them ({has}). "
                "Start one that has (`ray start --address=...`), or lower machine.workers and machine.threads; then "
                "the same command goes on."
            )
        return int(found)

    def have(self, resource: str) -> bool:
        """Whether any node has a resource, such as GPU."""
        return bool(self.ray.cluster_resources().get(resource))

    def _result(self, reference: Any) -> Any:
        try:
            return self.ray.get(reference)
        except self.ray.exceptions.RayTaskError as error:
            raise error.cause from error
        except self.ray.exceptions.RayError as error:
            raise UserError(
                f"A task was begun {1 + RETRIES} times, and died as often. Most often its node had too little memory: "
                f"raise machine.workers, so that fewer run at a time. What was finished is kept. {error}"
            ) from error


def library() -> Any:
    """The package `ray`.

    Raises:
        UserError: it is not installed.
    """
    try:
        import ray  # noqa: PLC0415 - an extra, which takes a second to import
    except ModuleNotFoundError as error:
        raise UserError(
            f"The engine ray needs a package ({error}). Install it, on every node: "
            "`python -m pip install --constraint constraints.txt --editable '.[ray]'`. Or set machine.engine: local."
        ) from error
    return ray


@contextmanager
def cluster(folder: Path, cpus: int, gpus: int = 0) -> Iterator[Cluster]:
    """Connect to the cluster that runs on this machine, or that RAY_ADDRESS names; its tasks end with the context.

    Args:
        folder: one that all nodes must see.
        cpus: CPUs that a task needs.
        gpus: GPUs that it needs.

    Raises:
        UserError: Ray is not installed, or no cluster answers.
    """
    ray, token = library(), folder.absolute() / f".ray-{uuid4().hex}"
    _connect(ray)
    try:
        token.touch()
        yield Cluster(ray, _Site(Path.cwd(), token, _code()), cpus, gpus)
    finally:
        token.unlink(missing_ok=True)
        ray.shutdown()


def each(work: Callable[[A], B], items: Iterable[A], folder: Path, cpus: int = 1) -> Iterator[tuple[A, B]]:
    """Pairs (item, its result) of `Cluster.each`, as `processes.each` gives them; without an item, none is connected.

    Args:
        folder: that of `cluster`.
        cpus: likewise.
    """
    if waiting := list(items):
        with cluster(folder, cpus) as nodes:
            yield from nodes.each(work, waiting)


def _connect(ray: Any) -> None:
    path = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    variables = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    before = signal.getsignal(signal.SIGTERM)
    address = os.environ.get("RAY_ADDRESS") or "auto"
    try:
        if address != "auto":  # Ray itself would try for minutes
            host, _, port = address.rpartition(":")
            socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS).close()
        ray.init(
            address=address,
            logging_level=logging.WARNING,
            runtime_env={"env_vars": {**variables, "PYTHONPATH": os.pathsep.join(path)}},
        )
    except (OSError, RuntimeError, ValueError) as error:
        raise UserError(
            f"machine.engine: ray, and no Ray cluster answers ({error}). Start one on this machine: "
            "`ray start --head --disable-usage-stats`; or name one that runs: `export RAY_ADDRESS=HOST:6379`."
        ) from error
    signal.signal(signal.SIGTERM, before)  # Ray's own handler would end the stage with another status


def task(given: tuple[_Site, Callable[[A], B]], item: A) -> B:
    """What a worker of Ray runs."""
    site, work = given
    site.enter()
    return work(item)


@cache
def _code() -> str:
    """A hash of all code of the package `pipeline`."""
    sources = sorted((ROOT / "pipeline").rglob("*.py"))
    return files.fingerprint([[str(file.relative_to(ROOT)), files.file_hash(file)] for file in sources])
