"""Stage `extract`: video files -> shards of JPEG frames, and the ledger of broken videos.

    python -m stages.extract data/manifest.tsv data/classes.txt data/frames data/broken.tsv

Sections `extract` and `dataset.root` of params.yaml. A run that was killed goes on after its last finished shard.
"""

from pathlib import Path

from pipeline import extraction, ledger, machine, params
from pipeline.frames import ExtractConfig
from pipeline.records import Manifest
from stages.command import run


def main(manifest: Path, classes: Path, frames: Path, broken: Path) -> None:
    """Extract every video of the manifest."""
    corpus = Manifest.read(manifest, classes)
    root = Path(params.read("dataset.root"))
    extraction.extract(corpus, root, frames, broken, params.load("extract", ExtractConfig), machine.load())
    print(f"{frames}: {len(corpus):,} videos, of which {len(ledger.read(broken))} gave no frame ({broken})")


if __name__ == "__main__":
    run(main)
