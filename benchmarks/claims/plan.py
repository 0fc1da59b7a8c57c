"""What is measured: claims.yaml, checked, and the settings of a seed's project that come of it."""

from collections.abc import Collection, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import yaml

from pipeline.cli import compose
from pipeline.core import params
from pipeline.core.errors import UserError

FILE = Path(__file__).with_name("claims.yaml")
STARTS = "starts"
"""Folder of a seed's project for the weights that trainings start from."""


@dataclass(frozen=True)
class Variant:
    """A model of the set with other settings."""

    of: str
    """Name of that model."""
    set: dict[str, Any] = field(default_factory=dict)
    """Dotted name of a setting -> its value."""
    times: dict[str, float] = field(default_factory=dict)
    """Dotted name of a setting -> factor."""
    start: str | None = None
    """Model whose weights of the next seed are the start; null: as `of`."""

    def section(self, models: Mapping[str, Any]) -> dict[str, Any]:
        """The section `models.<name>` of this variant, from those of the set."""
        if self.of not in models:
            raise UserError(f"variants: there is no model {self.of!r} in the set.{params.hint(self.of, models)}")
        section: dict[str, Any] = deepcopy(models[self.of])
        for name, value in self.set.items():
            _change(section, name, lambda _, value=value: value)
        for name, factor in self.times.items():
            _change(section, name, lambda old, factor=factor: _product(old, factor))
        if self.start:
            file = start_of(self.start).as_posix()
            section["train"]["pretrained"] = section["watch"] = file
        return section

    def __str__(self) -> str:
        """Its settings in words."""
        told = [f"{name} {value}" for name, value in self.set.items()]
        told += [f"{name} x {factor:g}" for name, factor in self.times.items()]
        told += [f"starts from `{self.start}` of the next seed, with a new classifier"] if self.start else []
        return f"`{self.of}`: {', '.join(told)}"


@dataclass(frozen=True)
class Claim:
    """A claim: one side is better than the other."""

    claim: str
    of: str
    against: str

    @property
    def compared(self) -> str:
        """Both sides in words."""
        return f"{self.of} against {self.against}"


@dataclass(frozen=True)
class Plan:
    """What claims.yaml says."""

    seeds: tuple[int, ...]
    overrides: tuple[str, ...]
    variants: dict[str, Variant]
    claims: tuple[Claim, ...]
    every: dict[str, Any] = field(default_factory=dict)
    """Settings of every model: dotted name -> value."""

    @classmethod
    def read(cls, file: Path = FILE, quick: bool = False, overrides: Sequence[str] = ()) -> Self:
        """Read a file like claims.yaml; `overrides` of conf/ come last.

        Raises:
            UserError: it holds what is no plan, or two seeds are the same.
        """
        told = yaml.safe_load(file.read_text(encoding="utf-8"))
        small = told.pop("quick")
        plan = params.build(cls, told, str(file))
        if quick:
            more = (*plan.overrides, *small["overrides"])
            plan = replace(plan, seeds=tuple(small["seeds"]), overrides=more, every=small["set"])
        if len(set(plan.seeds)) < len(plan.seeds) or not plan.seeds:
            raise UserError(f"{file}: seeds must name at least one seed, each once.")
        if len(plan.seeds) == 1 and any(variant.start for variant in plan.variants.values()):
            raise UserError(f"{file}: a start comes from another seed, and seeds has one.")
        return replace(plan, overrides=(*plan.overrides, *overrides))

    def next(self, seed: int) -> int:
        """The seed whose weights a training of `seed` starts from."""
        return self.seeds[(self.seeds.index(seed) + 1) % len(self.seeds)]

    def settings(self, conf: Path, seed: int, starts: Collection[str]) -> dict[str, Any]:
        """All of params.yaml for a seed, without the variants whose start is not among the models of `starts`.

        Raises:
            UserError: conf/ does not compose, or lacks a model or setting that a variant names.
        """
        try:
            text = compose.text(conf, [*self.overrides, f"demo.seed={seed}"])
        except compose.BROKEN as error:
            raise UserError(f"These overrides do not fit conf/ ({error}): {' '.join(self.overrides)}") from error
        composed: dict[str, Any] = yaml.safe_load(text)
        base = composed["models"]
        composed["ensemble"]["members"] = list(base)
        composed["models"] = base | {
            name: variant.section(base)
            for name, variant in self.variants.items()
            if variant.start is None or variant.start in starts
        }
        for section in composed["models"].values():
            for name, value in {**self.every, "train.seed": seed}.items():
                _change(section, name, lambda _, value=value: value)
        return composed


def start_of(model: str) -> Path:
    """Where a seed's project has the weights that trainings start from."""
    return Path(STARTS) / model / "model.safetensors"


def _change(section: dict[str, Any], name: str, new: Any) -> None:
    """Replace a setting by a function of it."""
    *path, last = name.split(".")
    node: Any = section
    for key in path:
        node = node.get(key) if isinstance(node, dict) else None
    if not isinstance(node, dict) or last not in node:
        raise UserError(f"variants: no model has the setting {name!r}.")
    node[last] = new(node[last])


def _product(value: float, factor: float) -> float:
    """The product, whole where the value is."""
    return max(1, round(value * factor)) if isinstance(value, int) else value * factor
