"""All settings at once: conf/ -> params.yaml, checked. `make params` runs it.

    python -m pipeline.settings                                       conf/ as it stands
    python -m pipeline.settings dataset=folder model=tsm_demo         with other choices (Hydra's overrides)

Every section is built as its stage will build it, so that a wrong figure does not wait for the stage that reads it.
params.yaml is written when all of them pass. `dvc exp run` composes conf/ by itself: there each stage checks its own.
"""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml

from pipeline.cli import compose
from pipeline.clips.views import ViewConfig
from pipeline.core import files, params, registry
from pipeline.core.errors import UserError
from pipeline.core.machine import Machine
from pipeline.core.manifest import DatasetConfig
from pipeline.ensemble.config import EnsembleConfig
from pipeline.extraction.ffmpeg import ExtractConfig
from pipeline.inference.run import InferConfig
from pipeline.training.config import ModelConfig

SECTIONS = {
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
    for name, config in SECTIONS.items():
        params.build(config, composed[name], where=name)
    registry.find("datasets", composed["dataset"]["format"])
    for name, section in composed["models"].items():
        params.build(ViewConfig, section["test"], where=f"models.{name}.test")
        model = ModelConfig.read(section, where=f"models.{name}")
        registry.find("losses", model.train.loss.name)
        with torch.device("meta"):
            model.build(classes=2)


def main() -> None:
    """Compose, check, write."""
    parser = argparse.ArgumentParser(
        "python -m pipeline.settings", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("overrides", nargs="*", metavar="NAME=VALUE", help="e.g. models.tsm_demo.train.epochs=2")
    try:
        text = compose.text(Path("conf"), parser.parse_args().overrides)
        check(yaml.safe_load(text))
    except compose.BROKEN as error:
        sys.exit(f"error: conf/ does not compose: {error}")
    except UserError as error:
        sys.exit(f"error: {error}")
    files.write_text(Path("params.yaml"), text)


if __name__ == "__main__":
    main()
