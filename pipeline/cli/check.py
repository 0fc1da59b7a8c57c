"""Say all that is wrong with params.yaml, before anything runs. The first stage of `dvc repro` does the same.

pipeline check
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
    from pipeline.check import check  # noqa: PLC0415 - torch takes seconds, and --help needs none
    from pipeline.core import params  # noqa: PLC0415

    check(params.read_all(), args.data / "predictions")
    print("every setting is right")
