"""Stage `pack`: shards of JPEG frames -> LMDB shards, which training reads.

    python -m stages.pack data/frames data/lmdb

Section `pack` of params.yaml. With `--shard 3/16`, the third of sixteen calls, whose order does not matter: the last of
them writes the out.
"""

from pathlib import Path

from pipeline.clips import packing
from pipeline.clips.short_sides import PackConfig
from pipeline.core import params
from pipeline.core.machine import load_machine, scratch_folder
from pipeline.core.share import Share
from pipeline.runtime.allocator import keep_freed_memory
from stages.command import run


def main(frames: Path, lmdb: Path, *, shard: Share | None = None) -> None:
    """Pack every frame shard, or a share of them."""
    config, machine = params.load("pack", PackConfig), load_machine()
    keep_freed_memory()  # of each batch of videos, for the next one
    store, on_ray = scratch_folder(machine, "pack"), machine.uses_ray(shard)
    videos = packing.pack(frames, lmdb, store, machine.processes, shard, config.smaller, on_ray=on_ray)
    if videos is not None:
        size = sum(file.stat().st_size for file in lmdb.glob("*.lmdb"))
        print(f"{lmdb}: {videos:,} videos, {size / 2**20:,.1f} MiB")


if __name__ == "__main__":
    run(main)
