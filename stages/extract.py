"""Stage `extract`: video files -> shards of JPEG frames, and the list of broken videos.

    python -m stages.extract data/manifest.tsv data/classes.txt data/frames data/broken.tsv

Sections `extract` and `dataset.root` of params.yaml. A run that was killed goes on after its last finished shard. With
`--shard 3/16`, the third of sixteen calls, whose order does not matter: the last of them writes the outs.
"""

from pathlib import Path

from pipeline.core import params
from pipeline.core.broken_videos import read_broken
from pipeline.core.machine import load_machine
from pipeline.core.manifest import Manifest
from pipeline.core.remote_folder import corpus_root
from pipeline.core.share import Share
from pipeline.extraction.config import ExtractConfig
from pipeline.extraction.extract import extract_corpus
from stages.command import run


def main(manifest: Path, classes: Path, frames: Path, broken: Path, *, shard: Share | None = None) -> None:
    """Extract every video of the manifest, or a share of them."""
    corpus = Manifest.read(manifest, classes)
    root = corpus_root(params.text("dataset.root"))
    config, machine = params.load("extract", ExtractConfig), load_machine()
    if extract_corpus(corpus, root, frames, broken, config, machine, shard):
        print(f"{frames}: {len(corpus):,} videos, of which {len(read_broken(broken))} gave no frame ({broken})")


if __name__ == "__main__":
    run(main)
