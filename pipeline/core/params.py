"""A section of params.yaml -> a frozen dataclass, strictly.

All that is wrong with a section is said at once, a line each that begins with the setting's dotted path. Values live in
conf/, of which params.yaml is the composition; the dataclasses stand beside the code that they configure and know
only types.
"""

import collections.abc
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
NO_YAML = (yaml.YAMLError, ValueError, LookupError, AttributeError, RecursionError, OverflowError)
"""Errors of PyYAML about a text: the makers of numbers and dates raise their own."""
LARGEST = 2**63 - 1
"""Largest size of a whole number; from 309 digits on Python makes no float of one, and prints none of thousands."""
MENDED = "Mend this in conf/ or in the override, then `pipeline params`."


def load(section: str, cls: type[T], file: Path = FILE) -> T:
    """The dotted section of `file` as an instance of `cls`: ``load("models.tsm_r50", ModelConfig)``.

    Raises:
        UserError: the file or section is missing, or settings are unknown, missing, of another type or impossible.
    """
    problems: list[str] = []
    built = attempt(cls, read(section, file), f"{file}: {section}", problems)
    if built is None:
        raise UserError("\n".join([*problems, MENDED]))
    return built


def read(section: str, file: Path = FILE) -> Any:
    """The dotted section of `file`, as plain Python values."""
    node, path = read_all(file), ""
    for key in section.split("."):
        if not isinstance(node, Mapping) or key not in node:
            known = node if isinstance(node, Mapping) else ()
            near = hint(key, known)
            raise UserError(f"{file} has no section {path + key!r}.{near} `pipeline params` writes the file anew.")
        node, path = node[key], f"{path}{key}."
    return node


def text(setting: str, file: Path = FILE) -> str:
    """The dotted setting of `file`, which is a text.

    Raises:
        UserError: it is none, or missing.
    """
    value = read(setting, file)
    if not isinstance(value, str):
        raise UserError(f"{file}: {setting} must be a text, not {_shown(value)}. {MENDED}")
    return value


def read_all(file: Path = FILE) -> Any:
    """All of `file`, as plain Python values."""
    if not file.is_file():
        raise UserError(f"{file} does not exist. Run this in the project's root; `pipeline params` writes the file.")
    try:
        return yaml.safe_load(file.read_text(encoding="utf-8"))
    except NO_YAML as error:
        raise UserError(f"{file} is no readable YAML: {error}. `pipeline params` writes it anew.") from error


def build(cls: type[T], node: Any, where: str) -> T:
    """An instance of the dataclass `cls` from a plain mapping; `where` names its origin in messages.

    Raises:
        UserError: a line for each setting that is wrong.
    """
    problems: list[str] = []
    built = attempt(cls, node, where, problems)
    if built is None:
        raise UserError("\n".join(problems))
    return built


def attempt(cls: type[T], node: Any, where: str, problems: list[str]) -> T | None:
    """An instance as `build` makes it; or None, and a line for each setting that is wrong is added to `problems`.

    The dataclass' own checks look at all of its settings, so they are made when each has the right name and type.
    """
    if not isinstance(node, Mapping):
        problems.append(f"{where}: must be a mapping of settings, not {_shown(node)}.")
        return None
    before = len(problems)
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]  # T is a dataclass here
    hints = typing.get_type_hints(cls)
    unknown = [key for key in node if key not in fields]
    problems += [f"{where}.{_shown(key, str)}: there is no such setting.{hint(key, fields)}" for key in unknown]
    problems += [
        f"{where}.{name}: this setting is missing."
        for name, field in fields.items()
        if name not in node and field.default is field.default_factory is dataclasses.MISSING
    ]
    known = {key: value for key, value in node.items() if key in fields}
    values = {key: _convert(hints[key], value, f"{where}.{key}", problems) for key, value in known.items()}
    if len(problems) > before:
        return None
    try:
        return cls(**values)
    except ValueError as error:  # of `require`, in the dataclass' __post_init__
        problems += [f"{where}: {text}" for text in error.args]
        return None


def require(*rules: tuple[bool, str]) -> None:
    """Raise a ValueError that has the message of every rule that does not hold: what a `__post_init__` is made of."""
    if broken := [message for holds, message in rules if not holds]:
        raise ValueError(*broken)


def options(function: Callable[..., Any], given: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The `given` options, checked against the keyword-only arguments of `function` (a model's or a loss' `build`).

    Raises:
        UserError: a line for each option that is unknown or of another type than its argument.
    """
    problems: list[str] = []
    known = [p.name for p in inspect.signature(function).parameters.values() if p.kind is p.KEYWORD_ONLY]
    problems += [f"{where}.{key}: there is no such option.{hint(key, known)}" for key in given if key not in known]
    hints = typing.get_type_hints(function)
    right = {key: value for key, value in given.items() if key in known}
    converted = {key: _convert(hints.get(key, Any), value, f"{where}.{key}", problems) for key, value in right.items()}
    if problems:
        raise UserError("\n".join(problems))
    return converted


def plain(config: Any) -> Any:
    """A dataclass as values that JSON can hold, with a stable order: what a recipe or a fingerprint is made of."""
    return dataclasses.asdict(config)


def hint(name: object, known: Iterable[object], most: int = 40) -> str:
    """What to write instead of `name`, to be put behind a sentence: the nearest of the `known` names, and all of them.

    More than `most` names are not listed.
    """
    names = sorted(str(name) for name in known)
    guess = difflib.get_close_matches(_shown(name, str), names, n=1)
    listed = f" There are: {', '.join(names) or 'nothing'}." if len(names) <= most else ""
    return (f" Did you mean {guess[0]!r}?" if guess else "") + listed


def _shown(value: object, written: Callable[[object], str] = repr) -> str:
    """A value for a message: of a whole number of thousands of digits Python writes none."""
    try:
        return written(value)
    except ValueError:
        return "a whole number of thousands of digits"


def _convert(kind: Any, value: Any, where: str, problems: list[str]) -> Any:
    """`value`, checked against the annotation `kind`; lists become tuples, and integers floats where asked for."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if type(value) is int and abs(value) > LARGEST:
        problems.append(f"{where}: must lie within ±{LARGEST}, and is a whole number beyond.")
        return value
    if kind is Any:
        return value
    if origin in (typing.Union, types.UnionType):
        return _convert_one_of(inner, value, where, problems)
    if origin is typing.Literal:
        if type(value) is int and str(value) in inner:  # an override such as machine.precision=32 comes as a number
            return str(value)
        if value not in inner:
            choice = ", ".join(map(repr, inner))
            problems.append(f"{where}: must be one of {choice}, not {_shown(value)}.{hint(value, inner, most=0)}")
        return value
    if dataclasses.is_dataclass(kind):
        return attempt(kind, value, where, problems)  # type: ignore[arg-type]  # `kind` is the class, not an instance
    if origin in (tuple, collections.abc.Sequence) and isinstance(value, list | tuple):
        kinds = list(inner) if origin is tuple and inner[-1] is not Ellipsis else [inner[0]] * len(value)
        if len(kinds) != len(value):
            problems.append(f"{where}: must have {len(kinds)} entries, not {len(value)}.")
            return value
        pairs = enumerate(zip(kinds, value, strict=True))
        return tuple(_convert(k, v, f"{where}[{i}]", problems) for i, (k, v) in pairs)
    if origin in (dict, collections.abc.Mapping) and isinstance(value, Mapping):
        return {key: _convert(inner[1], item, f"{where}.{_shown(key, str)}", problems) for key, item in value.items()}
    if kind is float and type(value) is int:
        return float(value)
    if not (isinstance(kind, type) and type(value) is kind):
        problems.append(f"{where}: must be of type {_name(kind)}, not {_shown(value)}.")
    return value


def _convert_one_of(among: tuple[Any, ...], value: Any, where: str, problems: list[str]) -> Any:
    """As `_convert`, by the first of the annotations that takes the value."""
    if value is None and type(None) in among:
        return None
    kinds = [kind for kind in among if kind is not type(None)]
    if len(kinds) == 1:
        return _convert(kinds[0], value, where, problems)
    said: list[str] = []
    for kind in kinds:
        wrong: list[str] = []
        converted = _convert(kind, value, where, wrong)
        if not wrong:
            return converted
        said += wrong
    inside = [line for line in said if not line.startswith(f"{where}:")]  # the right kind, but for an entry
    problems += inside or [f"{where}: must be of type {' or '.join(map(_name, kinds))}, not {_shown(value)}."]
    return value


def _name(kind: Any) -> str:
    """An annotation as a user of YAML calls it."""
    if typing.get_origin(kind) is typing.Literal:
        return " or ".join(map(repr, typing.get_args(kind)))
    lists = (tuple, collections.abc.Sequence)
    mappings = (dict, collections.abc.Mapping)
    origin = typing.get_origin(kind)
    return "list" if origin in lists else "mapping" if origin in mappings else getattr(kind, "__name__", str(kind))
