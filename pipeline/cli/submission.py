"""Check a submission: every test video once, with ranked classes.

pipeline submission                                           data/ensemble/submission.csv
pipeline submission FILE                                      another one, for the same corpus
"""

import argparse
from pathlib import Path

from pipeline.cli.arguments import DATA


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("file", nargs="?", type=Path, metavar="FILE", help="default: ensemble/submission.csv of --data")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the results (default: %(default)s)")


def run(args: argparse.Namespace) -> None:
    """Refuse the file, or say that it is well."""
    from pipeline.core.manifest import Manifest
    from pipeline.ensemble import submission

    file = args.file or args.data / "ensemble" / "submission.csv"
    test = Manifest.read(args.data / "manifest.tsv", args.data / "classes.txt").split("test")
    submission.check(file, test.videos, test.classes)
    print(f"{file}: {len(test)} videos, in order, each with its ranked classes")
