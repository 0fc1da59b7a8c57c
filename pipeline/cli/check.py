"""Say all that is wrong with params.yaml, before anything runs.

    pipeline check

The first stage of `dvc repro` does the same.
"""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `pipeline check`."""
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder with the predictions (default: data)")


def run(args: argparse.Namespace) -> None:
    """Check params.yaml as it is.

    Raises:
        UserError: a line for each setting that is wrong.
    """
    from pipeline.check import check
    from pipeline.core import params

    check(params.read_all(), args.data / "predictions")
    print("every setting is right")
