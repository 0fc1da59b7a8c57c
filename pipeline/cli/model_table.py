"""The table of models: what each config of conf/model costs."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import yaml

from pipeline import cost as price
from pipeline.cli.arguments import CLASSES
from pipeline.core import params, registry
from pipeline.core.errors import UserError
from pipeline.core.markdown import text_table
from pipeline.training.config import ModelConfig
from pipeline.training.frozen_config import ProbeConfig
from pipeline.training.hearing_config import HearingConfig
from pipeline.training.kinds import kind

HEAD = ["config", "arch", "parameters", "GMACs", "frames", "crop", "raw frames"]


def configs(conf: Path, names: Iterable[str] | None = None) -> dict[str, ModelConfig | ProbeConfig]:
    """The models of conf/model by name, at full size: all of them, or those in `names`."""
    from pipeline.cli import compose  # Hydra; `cost` is wanted where there is none

    known = single_models(conf)
    if not known:
        raise UserError(f"There is no folder {conf / 'model'} here. Run this in the project's root.")
    names = known if names is None else list(names)
    if unknown := [name for name in names if name not in known]:
        raise UserError(f"{conf / 'model'} has no model {unknown[0]!r}.{params.hint(unknown[0], known)}")
    try:
        composed = yaml.safe_load(compose.text(conf, [f"model=[{','.join(names)}]", "dataset=folder"]))
    except compose.BROKEN as error:
        raise UserError(f"{conf} does not compose: {error}") from error
    return {name: kind(section).read(section, f"models.{name}") for name, section in composed["models"].items()}


def single_models(conf: Path) -> list[str]:
    """The names in conf/model that are one model, not a set."""
    return sorted(f.stem for f in (conf / "model").glob("*.yaml") if f.read_text().startswith("# @package models"))


def cost(config: ModelConfig | ProbeConfig, classes: int = CLASSES, crop: int | None = None) -> tuple[int, float]:
    """Parameters, and GMACs of one clip, a training clip unless another `crop` in pixels is given."""
    network = price.without_data(lambda: config.build(classes)[0])
    return price.parameters(network), price.gmacs_of(network, config.shape(crop))


def row(name: str, config: ModelConfig | ProbeConfig) -> list[str]:
    """One line of the table."""
    parameters, gmacs = cost(config)
    if isinstance(config, HearingConfig):
        said = f"{config.clip.seconds:g} s of sound"
        return [f"`{name}`", config.arch, f"{parameters:,}", f"{gmacs:.2f}", "-", "-", said]
    sampler = config.clip.sampler
    span = "whole video" if sampler.stride is None else f"{sampler.frames * sampler.stride}"
    crop = config.crop
    return [f"`{name}`", config.arch, f"{parameters:,}", f"{gmacs:.2f}", f"{sampler.length}", f"{crop}", span]


def tables(conf: Path, names: Sequence[str] | None = None) -> dict[str, str]:
    """Extra that networks need ("" where they need none) -> the table in Markdown, sorted by architecture and cost.

    An extra that is not installed has the line that says so in place of its table.
    """
    by_extra: dict[str, dict[str, ModelConfig | ProbeConfig]] = {}
    for name, config in configs(conf, names).items():
        extra = str(getattr(registry.find("models", config.arch), "EXTRA", ""))
        by_extra.setdefault(extra, {})[name] = config
    return {extra: _table(of_extra) for extra, of_extra in sorted(by_extra.items())}


def _table(of_extra: Mapping[str, ModelConfig | ProbeConfig]) -> str:
    try:
        rows = [row(name, config) for name, config in of_extra.items()]
    except UserError as error:
        return f"{', '.join(of_extra)}: {error}"
    return "\n".join(text_table(HEAD, sorted(rows, key=lambda cells: (cells[1], float(cells[3])))))
