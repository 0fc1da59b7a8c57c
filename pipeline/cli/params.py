"""Compose conf/ into params.yaml, and check every setting.

    pipeline params                                       conf/ as it stands
    pipeline params dataset=folder model=tsm_demo         with other choices (Hydra's overrides)

params.yaml is written when no setting is wrong; otherwise it stays as it was, and everything that is wrong is said.
"""

import argparse
from pathlib import Path

from pipeline.cli.arguments import CONF
from pipeline.core.errors import UserError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `pipeline params`."""
    parser.add_argument("overrides", nargs="*", metavar="NAME=VALUE", help="e.g. models.tsm_demo.train.epochs=2")
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder with the predictions (default: data)")


def run(args: argparse.Namespace) -> None:
    """Compose, check, write.

    Raises:
        UserError: conf/ does not compose with these overrides, or a line for each setting that is wrong.
    """
    import yaml

    from pipeline.check import check
    from pipeline.core import files, params

    text = composed(args.overrides)
    check(yaml.safe_load(text), args.data / "predictions")
    files.write_text(params.FILE, text)
    chosen = yaml.safe_load(text)
    corpus, models = chosen["dataset"]["annotations"], ", ".join(chosen["models"])
    print(f"{params.FILE}: written, every setting is right (corpus: {corpus}; models: {models})")


def composed(overrides: list[str]) -> str:
    """The text of params.yaml.

    Raises:
        UserError: conf/ does not compose with these overrides; what was meant, perhaps.
    """
    from pipeline.cli import compose
    from pipeline.cli.overrides import mistakes

    if not CONF.is_dir():
        raise UserError(f"There is no folder {CONF} here. Run this in the project's root.")
    try:
        return compose.text(CONF, overrides)
    except compose.BROKEN as error:
        try:
            lines = mistakes(CONF, overrides)
        except compose.BROKEN:  # conf/ itself, or how an override is written: Hydra says it
            lines = []
        raise UserError(
            "\n".join(["conf/ does not compose:", *(f"  {line}" for line in lines or [str(error)])])
        ) from error
