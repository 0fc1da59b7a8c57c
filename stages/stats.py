"""Stage `stats`: label counts, class weights, co-occurrence and prior of the training split.

python -m stages.stats data/manifest.tsv data/classes.txt data/broken.tsv data/stats
"""

from pathlib import Path

from pipeline import class_stats
from pipeline.core.broken_videos import read_broken
from pipeline.core.manifest import Manifest
from stages.command import run


def main(manifest: Path, classes: Path, broken: Path, out: Path) -> None:
    """Count the labels of the train videos that gave frames."""
    train = Manifest.read(manifest, classes).split("train")
    good = train.without(row.video for row in read_broken(broken))
    found = class_stats.write(out, good, expected=len(train))
    low, mean, high = found.counts.min(), found.counts.mean(), found.counts.max()
    print(f"{out}: {found.videos:,} train videos; a class has {low:,} to {high:,} of them, {mean:,.1f} on average")


if __name__ == "__main__":
    run(main)
