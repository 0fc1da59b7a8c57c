"""A section of params.yaml -> a frozen dataclass, strictly.

A misspelt, missing or mistyped setting stops the stage before any work is done. Values live in conf/, of which
params.yaml is the composition; the dataclasses stand beside the code that they configure and know only types.
"""

import dataclasses
import difflib
import inspect
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml

from pipeline.core.errors import UserError

T = TypeVar("T")
FILE = Path("params.yaml")


def load(section: str, cls: type[T], file: Path = FILE) -> T:
    """The dotted section of `file` as an instance of `cls`: ``load("models.tsm_r50", ModelConfig)``.

    Raises:
        UserError: the file or section is missing, or a setting is unknown, missing or of another type.
    """
    return build(cls, read(section, file), where=f"{file}: {section}")


def read(section: str, file: Path = FILE) -> Any:
    """The dotted section of `file`, as plain Python values."""
    if not file.is_file():
        raise UserError(f"{file} does not exist. Run this in the project's root; `make params` writes the file.")
    try:
        node = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{file} is no readable YAML: {error}. `make params` writes it anew.") from error
    path = ""
    for key in section.split("."):
        if not isinstance(node, Mapping) or key not in node:
            known = node if isinstance(node, Mapping) else ()
            raise UserError(f"{file} has no section {path + key!r}.{_hint(key, known)}")
        node, path = node[key], f"{path}{key}."
    return node


def build(cls: type[T], node: Any, where: str) -> T:
    """An instance of the dataclass `cls` from a plain mapping; `where` names its origin in messages."""
    if not isinstance(node, Mapping):
        raise UserError(f"{where} must be a mapping of settings, not {node!r}.")
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]  # T is a dataclass here
    hints = typing.get_type_hints(cls)
    for key in node:
        if key not in fields:
            home = Path(inspect.getfile(cls)).name
            raise UserError(f"{where} has no setting {key!r}.{_hint(key, fields)} ({cls.__name__} in {home})")
    for name, field in fields.items():
        optional = field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING
        if name not in node and not optional:
            raise UserError(f"{where} lacks the setting {name!r}. Add it in conf/ and run `make params`.")
    try:
        return cls(**{key: _convert(hints[key], value, f"{where}.{key}") for key, value in node.items()})
    except ValueError as error:  # a check in the dataclass' own __post_init__
        raise UserError(f"{where}: {error}") from error


def check_keywords(function: Callable[..., Any], options: Mapping[str, Any], where: str) -> None:
    """Refuse `options` that are no keyword-only arguments of `function` (a model's or a loss' `build`)."""
    parameters = inspect.signature(function).parameters.values()
    known = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]
    for key in options:
        if key not in known:
            raise UserError(f"{where} has no option {key!r}.{_hint(key, known)}")


def plain(config: Any) -> Any:
    """A dataclass as values that JSON can hold, with a stable order: what a recipe or a fingerprint is made of."""
    return dataclasses.asdict(config)


def _hint(key: object, known: Iterable[str]) -> str:
    names = sorted(str(name) for name in known)
    guess = difflib.get_close_matches(str(key), names, n=1)
    return (f" Did you mean {guess[0]!r}?" if guess else "") + f" There is: {', '.join(names) or 'nothing'}."


def _convert(kind: Any, value: Any, where: str) -> Any:
    """`value`, checked against the annotation `kind`; lists become tuples, and integers floats where asked for."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return value
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in inner:
            return None
        return _convert(next(k for k in inner if k is not type(None)), value, where)
    if origin is typing.Literal:
        if value not in inner:
            raise UserError(f"{where} must be one of {', '.join(map(repr, inner))}, not {value!r}.")
        return value
    if dataclasses.is_dataclass(kind):
        return build(kind, value, where)  # type: ignore[arg-type]  # `kind` is the class, not an instance
    if origin is tuple and isinstance(value, list):
        kinds = [inner[0]] * len(value) if inner[-1] is Ellipsis else list(inner)
        if len(kinds) != len(value):
            raise UserError(f"{where} must have {len(kinds)} entries, not {len(value)}.")
        return tuple(_convert(k, v, f"{where}[{i}]") for i, (k, v) in enumerate(zip(kinds, value, strict=True)))
    if origin is dict and isinstance(value, Mapping):
        return {key: _convert(inner[1], item, f"{where}.{key}") for key, item in value.items()}
    if kind is float and type(value) is int:
        return float(value)
    if isinstance(kind, type) and type(value) is kind:
        return value
    raise UserError(f"{where} must be of type {getattr(kind, '__name__', kind)}, not {value!r}.")
