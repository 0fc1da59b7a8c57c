"""Stage `features`: what the frozen network of a probe or an encoder says of every video, computed once.

    python -m stages.features probe data/manifest.tsv data/classes.txt data/groups.tsv data/lmdb data/weights \\
        data/features/probe

Sections arch, options, clip and train.pretrained of `models.<name>` in params.yaml.
"""

from pathlib import Path

from pipeline import features
from pipeline.clips.frame_store import FrameStore
from pipeline.core import params
from pipeline.core.machine import load_machine
from pipeline.core.manifest import Manifest
from pipeline.training import kinds
from pipeline.training.frozen_config import ProbeConfig
from pipeline.training.probe import frozen
from stages.command import run


def main(
    model: str, manifest: Path, classes: Path, of_groups: Path, lmdb: Path, pretrained: Path, out: Path
) -> None:  # fmt: skip
    """Compute the features of all videos that have frames."""
    section = params.read(f"models.{model}")
    config = kinds.kind(section).read(section, f"params.yaml: models.{model}").starting_in(pretrained)
    assert isinstance(config, ProbeConfig), "stage `check` lets no other model have features"
    corpus, store = Manifest.read(manifest, classes, of_groups), FrameStore(lmdb)
    network, spec, about = frozen(config, len(corpus.classes))
    videos = [video for video in corpus.videos if video in store]
    features.write(network, spec, config.clip, videos, store, out, load_machine(), corpus.groups, about)
    print(f"{out}: {network.dimension:,} features of {len(videos):,} videos")


if __name__ == "__main__":
    run(main)
