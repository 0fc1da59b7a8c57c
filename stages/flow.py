"""Stage `flow`: packed frames -> shards of their optical flow, and the list of videos without flow.

    python -m stages.flow data/manifest.tsv data/classes.txt data/lmdb data/flow data/no_flow.tsv

It exists where a model of the set takes flow. Section `flow` of params.yaml. A run that was killed goes on after its
last finished shard. With `--shard 3/16`, the third of sixteen calls, whose order does not matter: the last of them
writes the outs.
"""

from pathlib import Path

from pipeline.core import params
from pipeline.core.broken_videos import read_broken
from pipeline.core.machine import load_machine
from pipeline.core.manifest import Manifest
from pipeline.core.share import Share
from pipeline.flow.compute import compute_flow
from pipeline.flow.config import FlowConfig
from pipeline.runtime.allocator import keep_freed_memory
from stages.command import run


def main(
    manifest: Path, classes: Path, lmdb: Path, flow: Path, no_flow: Path, *, shard: Share | None = None
) -> None:  # fmt: skip
    """Compute the flow of every video that was packed, or of a share of them."""
    corpus, config = Manifest.read(manifest, classes), params.load("flow", FlowConfig)
    keep_freed_memory()  # of each batch of videos, for the next one
    if compute_flow(corpus, lmdb, flow, no_flow, config, load_machine(), shard):
        size = sum(file.stat().st_size for file in flow.glob("*.lmdb"))
        print(f"{flow}: {size / 2**20:,.1f} MiB; {len(read_broken(no_flow))} videos have no flow ({no_flow})")


if __name__ == "__main__":
    run(main)
