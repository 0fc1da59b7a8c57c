"""Stage `pack`: shards of JPEG frames -> LMDB shards, which training reads.

python -m stages.pack data/frames data/lmdb
"""

from pathlib import Path

from pipeline.clips import frame_store
from pipeline.core.machine import load_machine, scratch_folder
from stages.command import run


def main(frames: Path, lmdb: Path) -> None:
    """Pack every frame shard."""
    videos = frame_store.pack(frames, lmdb, scratch_folder(load_machine(), "pack"))
    size = sum(file.stat().st_size for file in lmdb.glob("*.lmdb"))
    print(f"{lmdb}: {videos:,} videos, {size / 2**20:,.1f} MiB")


if __name__ == "__main__":
    run(main)
