"""Stage `sound`: video files -> shards of their sound, and the list of videos without sound.

    python -m stages.sound data/manifest.tsv data/classes.txt data/sound data/no_sound.tsv

It exists where a model of the set hears. Sections `extract` (damage, limits, shards) and `dataset.root` of params.yaml.
A run that was killed goes on after its last finished shard. With `--shard 3/16`, the third of sixteen calls, whose
order does not matter: the last of them writes the outs.
"""

from pathlib import Path

from pipeline.core import params
from pipeline.core.broken_videos import read_broken
from pipeline.core.machine import load_machine
from pipeline.core.manifest import Manifest
from pipeline.core.remote_folder import corpus_root
from pipeline.core.share import Share
from pipeline.extraction.config import ExtractConfig
from pipeline.sound.extract import extract_sound
from stages.command import run


def main(manifest: Path, classes: Path, sound: Path, ledger: Path, *, shard: Share | None = None) -> None:
    """Extract the sound of every video of the manifest, or of a share of them."""
    corpus = Manifest.read(manifest, classes)
    root, machine = corpus_root(params.text("dataset.root")), load_machine()
    if extract_sound(corpus, root, sound, ledger, params.load("extract", ExtractConfig), machine, shard):
        print(f"{sound}: {len(corpus):,} videos, of which {len(read_broken(ledger))} have no sound ({ledger})")


if __name__ == "__main__":
    run(main)
