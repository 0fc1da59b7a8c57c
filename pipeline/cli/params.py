"""Compose conf/ into params.yaml, and check every setting.

    pipeline params                                       conf/ as it stands
    pipeline params dataset=folder model=tsm_demo         with other choices (Hydra's overrides)

Every section is built as its stage will build it, so that a wrong figure does not wait for the stage that reads it.
params.yaml is written when all of them pass. `dvc exp run` composes conf/ by itself: there each stage checks its own.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.cli.arguments import CONF
from pipeline.core.errors import UserError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("overrides", nargs="*", metavar="NAME=VALUE", help="e.g. models.tsm_demo.train.epochs=2")


def run(args: argparse.Namespace) -> None:
    """Compose, check, write."""
    import yaml

    from pipeline.cli import compose
    from pipeline.core import files

    try:
        text = compose.text(CONF, args.overrides)
        check(yaml.safe_load(text))
    except compose.BROKEN as error:
        raise UserError(f"conf/ does not compose: {error}") from error
    files.write_text(Path("params.yaml"), text)


def sections() -> dict[str, type]:
    """The dataclass of each section, but for the models."""
    from pipeline.core.machine import Machine
    from pipeline.core.manifest import DatasetConfig
    from pipeline.ensemble.config import EnsembleConfig
    from pipeline.extraction.ffmpeg import ExtractConfig
    from pipeline.inference.run import InferConfig

    return {
        "dataset": DatasetConfig,
        "extract": ExtractConfig,
        "infer": InferConfig,
        "ensemble": EnsembleConfig,
        "machine": Machine,
    }


def check(composed: Mapping[str, Any]) -> None:
    """Build every section, and every network without memory for its weights.

    Raises:
        UserError: names the first setting that is wrong.
    """
    import torch

    from pipeline.clips.views import ViewConfig
    from pipeline.core import params, registry
    from pipeline.training.config import ModelConfig

    for name, config in sections().items():
        params.build(config, composed[name], where=name)
    registry.find("datasets", composed["dataset"]["format"])
    for name, section in composed["models"].items():
        params.build(ViewConfig, section["test"], where=f"models.{name}.test")
        model = ModelConfig.read(section, where=f"models.{name}")
        registry.find("losses", model.train.loss.name)
        with torch.device("meta"):
            model.build(classes=2)
