"""What is wrong with Hydra's overrides (`model=tin_r101`, `extract.fps=15`), and what was meant perhaps."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override

from pipeline.cli import compose
from pipeline.core import params


def mistakes(conf: Path, overrides: Sequence[str]) -> list[str]:
    """A line for each override that chooses no file of `conf`, or else for each that names no setting.

    Raises:
        one of compose.BROKEN: an override is not written as Hydra's grammar has it, or the files do not compose.
    """
    groups = {folder.name: sorted(file.stem for file in folder.glob("*.yaml")) for folder in conf.iterdir()}
    parsed = OverridesParser.create().parse_overrides(list(overrides))
    choices = [override for override in parsed if override.key_or_group in groups]
    if wrong := [line for override in choices for line in _no_choice(override, groups[override.key_or_group])]:
        return wrong
    composed = yaml.safe_load(compose.text(conf, [str(choice.input_line) for choice in choices]))
    settings = sorted(_paths(composed))
    named = [o.key_or_group for o in parsed if o not in choices and not o.is_add()]
    return [
        f"{name}: conf/ has no such setting.{_nearest(name, settings)} (`+{name}=VALUE` adds a new one.)"
        for name in named
        if name not in settings
    ]


def _no_choice(override: Override, known: Sequence[str]) -> Iterator[str]:
    group, value = override.key_or_group, override.value()
    if override.is_sweep_override():
        yield f"{override.input_line}: several are written as a list, e.g. '{group}=[tsn_demo,tin_demo]'."
        return
    for name in value if isinstance(value, list) else [value]:
        if str(name) not in known:
            yield f"{group}={name}: there is no conf/{group}/{name}.yaml.{params.hint(name, known)}"


def _paths(node: Any, path: str = "") -> Iterator[str]:
    """The dotted path of every setting and section."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield f"{path}{key}"
            yield from _paths(value, f"{path}{key}.")


def _nearest(name: str, settings: Sequence[str]) -> str:
    """The setting that was meant: one of the same last word, at another place, or else one that is spelt alike."""
    last = name.rpartition(".")[2]
    moved = difflib.get_close_matches(name, [s for s in settings if s.rpartition(".")[2] == last], n=1)
    return params.hint(name, moved or settings, most=0)
