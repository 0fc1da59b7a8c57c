"""Ray's own test cluster: a head that computes nothing, and two nodes of a CPU each, on this machine."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pipeline.core import ray_engine


@contextmanager
def cluster(nodes: int = 2) -> Iterator[Any]:
    """The cluster, with `nodes`: those that may be killed by `remove_node`. It takes half a minute to start.

    Raises:
        UserError: the extra `ray` is not installed, and the command that does it.
    """
    ray_engine.library()
    from ray.cluster_utils import Cluster

    started = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    try:
        for _ in range(nodes):
            started.add_node(num_cpus=1)
        yield started
    finally:
        started.shutdown()


def use(address: str) -> None:
    """Let this process find the cluster; a stage calls it before it starts."""
    os.environ["RAY_ADDRESS"] = address
