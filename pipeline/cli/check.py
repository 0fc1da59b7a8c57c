"""Say all that is wrong with params.yaml, before anything runs.

    pipeline check

Where stage `index` has listed the videos, it also says what they are too few for. The stages `check` and `check_corpus`
of `dvc repro` do the same.
"""

import argparse
from pathlib import Path

from pipeline.cli.arguments import CONF


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `pipeline check`."""
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder of the results (default: data)")


def run(args: argparse.Namespace) -> None:
    """Check params.yaml as it is, and the corpus as it was listed last.

    Raises:
        UserError: a line for each setting that is wrong.
    """
    from pipeline import check_corpus
    from pipeline.check import check, doubts
    from pipeline.cli import compose
    from pipeline.core import params
    from pipeline.core.manifest import Manifest

    settings = params.read_all()
    compose.announce(params.FILE, CONF)
    check(settings, args.data / "predictions")
    for doubt in doubts(settings):
        print(f"warning: {doubt}")
    listed = args.data / "manifest.tsv"
    if listed.is_file():
        corpus = Manifest.read(listed, args.data / "classes.txt", args.data / "groups.tsv")
        check_corpus.check(corpus, settings)
    print("every setting is right")
