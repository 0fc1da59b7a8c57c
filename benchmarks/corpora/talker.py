"""Corpus `talker`: real clips of one person who says six words, from your own copy of the GRID corpus.

    python benchmarks/corpora/talker.py GRID/s1 OUT                     # four labels a clip
    python benchmarks/corpora/talker.py GRID/s1 OUT --words command     # one label a clip

GRID/s1 holds files such as bbaf2n.mpg, whose names are their six words (bin blue at f two now). Cuts the lower face out
of a random choice of them, without sound, and writes OUT/labels.csv with the columns path,labels. GRID (Cooke, Barker,
Cunningham and Shao, 2006) is licensed CC BY 4.0; name it where you publish what you make of it. No clip of it is here.
"""

import argparse
import subprocess
from functools import partial
from pathlib import Path

import footage
import imageio_ffmpeg
import numpy as np

WORDS = {  # what each letter of a name means, but for the letter and the digit, which are too many for 250 clips
    "command": (0, ("bin", "lay", "place", "set")),
    "colour": (1, ("blue", "green", "red", "white")),
    "preposition": (2, ("at", "by", "in", "with")),
    "adverb": (5, ("again", "now", "please", "soon")),
}
LOWER_FACE = "crop=128:96:94:160"  # of 360 x 288 pixels, for the first talker


def labels_of(name: str, words: list[str]) -> str:
    """The words of a clip, separated by ";", e.g. ``bin;blue;at;now`` for bbaf2n."""
    spoken = []
    for position, choices in (WORDS[word] for word in words):
        [match] = [choice for choice in choices if choice[0] == name[position]]
        spoken.append(match)
    return ";".join(spoken)


def write(words: list[str], out: Path, clip: Path) -> tuple[str, str]:
    """Write the lower face of one clip; its line of the CSV."""
    name = f"{clip.stem}.mp4"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", "-i", str(clip), "-an", "-vf", LOWER_FACE]
    subprocess.run(
        [*command, "-c:v", "libx264", "-crf", "23", "-threads", "1", "-r", "25", str(out / name)], check=True
    )
    return name, labels_of(clip.stem, words)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("grid", type=Path, metavar="GRID", help="folder of the talker's *.mpg")
    parser.add_argument("out", type=Path, metavar="OUT", help="folder for the clips and labels.csv")
    parser.add_argument("--words", nargs="+", choices=WORDS, default=[*WORDS], help="what is labelled (default: all)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the choice of clips (default: 0)")
    parser.add_argument("--clips", type=int, default=250, help="number of clips (default: 250)")
    parser.add_argument("--workers", type=int, default=2, help="processes that encode (default: 2)")
    given = parser.parse_args()
    files = sorted(given.grid.glob("*.mpg"))
    if len(files) < given.clips:
        parser.error(f"{given.grid} holds {len(files)} files *.mpg, fewer than --clips {given.clips}")
    chosen = sorted(np.random.default_rng(given.seed).choice(files, given.clips, replace=False))
    footage.write_corpus(given.out, ("path", "labels"), chosen, partial(write, given.words), given.workers)
