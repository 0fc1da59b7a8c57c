"""Find re-encoded copies: videos that show the same.

    pipeline doubles                    after `dvc repro pack`: writes data/near_doubles.tsv and data/near_doubles.html
    pipeline doubles --least 0.7        lists pairs that are less alike, too; look at them on the page
    pipeline doubles --csv joined.csv   writes the corpus anew, as a CSV in which near-doubles share a group

It compares what moves in the frames, so a fixed camera and a logo do not deceive it; a video in which nothing moves is
counted and left out. Copies of another size, bit rate, brightness or frame rate are found, most that are trimmed by a
few tenths of a second, few that are cropped.
Files with the same bytes are found without it (data/doubles.tsv).
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.cli.arguments import DATA
from pipeline.core.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

LEAST = 0.8
"""Likeness from which a pair is listed: docs/your-data.md has what that finds, and what else."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument(
        "--least", type=_likeness, default=LEAST, metavar="L", help="lowest likeness, 0..1 (default: %(default)s)"
    )
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write the corpus with near-doubles as groups")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the results (default: %(default)s)")


def run(args: argparse.Namespace) -> None:
    """Write the table and the page, and say what they hold.

    Raises:
        UserError: a stage up to `pack` has not run, or what it wrote is damaged; or the CSV is that of the annotations.
    """
    from pipeline.clips.frame_store import FrameStore
    from pipeline.core import doubles, params, tsv
    from pipeline.core.machine import load_machine, scratch_folder
    from pipeline.core.manifest import DatasetConfig, Manifest
    from pipeline.extraction.config import ExtractConfig
    from pipeline.near_doubles import page, search, table

    if args.csv and args.csv.resolve() == Path(params.load("dataset", DatasetConfig).annotations).resolve():
        raise UserError(f"{args.csv} is the file of the annotations. Give --csv another name.")
    corpus = Manifest.read(args.data / "manifest.tsv", args.data / "classes.txt")
    store = FrameStore(args.data / "lmdb")
    fps, scratch = params.load("extract", ExtractConfig).fps, scratch_folder(load_machine(), "near_doubles")
    videos = [video for video in corpus.videos if video in store]
    found = search.find(store, videos, fps, args.least, scratch)
    pairs = table.listed(found.pairs, corpus, doubles.read(args.data / "doubles.tsv"))
    tsv.write(args.data / "near_doubles.tsv", pairs)
    page.write(args.data / "near_doubles.html", pairs, store, len(videos), len(found.still), args.least)
    _tell(pairs, int(table.torn(pairs).sum()), len(videos), len(found.still), args)
    if args.csv:
        _write_annotations(args.csv, pairs)


def _likeness(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0 and up to 1")
    return value


def _tell(pairs: "pd.DataFrame", torn: int, videos: int, still: int, args: argparse.Namespace) -> None:
    from pipeline.core.plural import number_of

    print(
        f"{number_of(len(pairs), 'pair')} of {videos:,} videos, {torn:,} of them across splits: a likeness of at least"
    )
    print(f"{args.least:g}, whose bytes differ. {args.data}/near_doubles.html shows them, near_doubles.tsv lists them.")
    if still:
        print(f"In {number_of(still, 'video')} too little moves to tell.")
    if torn and not args.csv:
        print(
            "`pipeline doubles --csv FILE` writes the corpus with near-doubles as groups, which no split tears apart."
        )


def _write_annotations(file: Path, pairs: "pd.DataFrame") -> None:
    from pipeline.core import files, params, registry
    from pipeline.core.manifest import DatasetConfig
    from pipeline.near_doubles import table

    config = params.load("dataset", DatasetConfig)
    corpus = registry.find("datasets", config.format).read(config)
    files.write_text(file, table.annotations(corpus, pairs).to_csv(index=False, lineterminator="\n"))
    print(f"{file}: {len(corpus):,} videos. In conf/dataset/, set format: folder, annotations: {file},")
    print("columns: {}, group_pattern: null and test_split: test; then `pipeline params && dvc repro`.")
    if kept := [split for split in ("train", "val", "test") if split not in corpus.drawn]:
        print(f"The split {', '.join(kept)} of the annotations stays: mend by hand what lies across it.")
