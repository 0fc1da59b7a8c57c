"""Write the tables of docs/settings.md from the code that reads the settings: `python docs/settings.py`.

What stands above `MARK` in that file is written by hand. A test compares the rest with what this script would write.
"""

import ast
import dataclasses
import inspect
import json
import re
import sys
import types
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from pipeline.clips.short_sides import PackConfig
from pipeline.clips.sound_dataset import SoundClipConfig
from pipeline.clips.views import ViewConfig
from pipeline.core import registry
from pipeline.core.machine import Machine
from pipeline.core.manifest import DatasetConfig
from pipeline.demo.corpus import DemoConfig
from pipeline.ensemble.config import EnsembleConfig
from pipeline.extraction.config import ExtractConfig
from pipeline.flow.config import FlowConfig
from pipeline.inference.run import InferConfig
from pipeline.losses import auto
from pipeline.report.config import ReportConfig
from pipeline.training.config import ModelConfig
from pipeline.training.frozen_config import EncoderTrainConfig

PAGE = Path(__file__).with_suffix(".md")
MARK = "<!-- Written by `python docs/settings.py`: what stands below is lost when it runs. -->\n"
SECTIONS = {
    "dataset": (DatasetConfig, "conf/dataset/"),
    "demo": (DemoConfig, "conf/dataset/demo.yaml"),
    "extract": (ExtractConfig, "conf/config.yaml"),
    "pack": (PackConfig, "conf/config.yaml"),
    "flow": (FlowConfig, "conf/config.yaml"),
    "models.<name>": (ModelConfig, "conf/model/"),
    "models.<name>.train, of a frozen network": (EncoderTrainConfig, "conf/recipe/"),
    "models.<name>.clip, input: sound": (SoundClipConfig, "conf/recipe/sound.yaml"),
    "models.<name>.test": (ViewConfig, "conf/recipe/"),
    "infer": (InferConfig, "conf/config.yaml"),
    "ensemble": (EnsembleConfig, "conf/config.yaml"),
    "report": (ReportConfig, "conf/config.yaml"),
    "machine": (Machine, "conf/config.yaml"),
}
WORDS = {int: "whole number", float: "number", str: "text", bool: "true, false", Any: "anything"}


def page(old: str) -> str:
    """Text of docs/settings.md whose tables follow the code; its head is that of `old`."""
    head, mark, _ = old.partition(MARK)
    if not mark:
        raise SystemExit(f"{PAGE} has lost the line {MARK.strip()}. Put it where the tables begin.")
    parts = [part for path, (section, home) in SECTIONS.items() for part in section_tables(path, section, home)]
    for kind, setting in (("models", "models.<name>.options"), ("losses", "models.<name>.train.loss.options")):
        parts.append(f"## `{setting}`\n\nEach file of pipeline/{kind}/ has its own.")
        parts += [options_table(name, registry.find(kind, name)) for name in registry.names(kind) if name != auto.NAME]
    return head + MARK + "\n" + "\n\n".join(parts) + "\n"


def section_tables(path: str, section: type, home: str) -> Iterator[str]:
    """One table for a dataclass, and one for each dataclass inside of it."""
    hints, meanings = typing.get_type_hints(section), field_docstrings(section)
    nested = {field: inner for field, hint in hints.items() for inner in dataclasses_in(hint)}
    rows = [
        (field.name, "a section, below" if field.name in nested else kind(hints[field.name]),
         default(field), meanings.get(field.name, ""))
        for field in dataclasses.fields(section)
    ]  # fmt: skip
    yield f"## `{path}`\n\n{told(section)}Set in {home}.\n\n{table(rows)}"
    for field, inner in nested.items():
        each = ".<role>" if field == "roles" else ""
        yield from section_tables(f"{path}.{field}{each}", inner, "conf/recipe/")


def options_table(name: str, module: types.ModuleType) -> str:
    """The keyword arguments of a member's `build`."""
    meanings = {}
    for documented in [*vars(module).values(), module.build]:
        if getattr(documented, "__module__", None) == module.__name__:
            meanings |= argument_docstrings(documented)
    hints = typing.get_type_hints(module.build)
    rows = [
        (option.name, kind(hints[option.name]), f"`{plain(option.default)}`", meanings.get(option.name, ""))
        for option in inspect.signature(module.build).parameters.values()
        if option.kind is option.KEYWORD_ONLY
    ]
    summary = (inspect.getdoc(module) or "").partition("\n\n")[0]
    return f"### {name}\n\n{one_line(summary)}\n\n{table(rows)}"


def table(rows: list[tuple[str, str, str, str]]) -> str:
    """A Markdown table: setting, what it may be, what it is where conf/ does not say, what it means."""
    lines = [f"| `{name}` | {may_be} | {otherwise} | {meaning} |" for name, may_be, otherwise, meaning in rows]
    return "\n".join(["| setting | may be | default | |", "|---|---|---|---|", *lines])


def kind(hint: Any) -> str:
    """A type in words; all values where they are few."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return ", ".join(f"`{value}`" for value in arguments)
    if origin in (types.UnionType, typing.Union):
        return ", or ".join("null" if one is types.NoneType else kind(one) for one in arguments)
    if hint in WORDS:
        return WORDS[hint]
    if issubclass(origin or hint, typing.Mapping):
        return "mapping"
    return f"list ({kind(arguments[0])})"


def dataclasses_in(hint: Any) -> list[type]:
    """The dataclass that a field's type is, or holds."""
    return [inner for inner in (hint, *typing.get_args(hint)) if dataclasses.is_dataclass(inner)]


def default(field: dataclasses.Field[Any]) -> str:
    """What holds where conf/ is silent; nothing where it must speak."""
    if field.default_factory is not dataclasses.MISSING:
        made = field.default_factory()
        return "its defaults" if dataclasses.is_dataclass(made) else f"`{plain(made)}`"
    return "" if field.default is dataclasses.MISSING else f"`{plain(field.default)}`"


def plain(value: Any) -> str:
    """A value as YAML has it."""
    return value if isinstance(value, str) else json.dumps(value)


def field_docstrings(section: type) -> dict[str, str]:
    """Field -> the docstring that stands below it, in the class or in one that it is made of."""
    inherited = field_docstrings(section.__base__) if dataclasses.is_dataclass(section.__base__) else {}
    (body,) = ast.parse(inspect.getsource(section)).body
    following = zip(body.body, body.body[1:], strict=False)
    return inherited | {
        field.target.id: one_line(below.value.value)
        for field, below in following
        if isinstance(field, ast.AnnAssign) and isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant)
    }


def argument_docstrings(documented: Callable[..., Any]) -> dict[str, str]:
    """Argument -> what the docstring's section `Args` says of it."""
    _, _, rest = (inspect.getdoc(documented) or "").partition("\nArgs:\n")
    block = re.split(r"\n\S", rest)[0]
    return {name: one_line(text) for name, text in re.findall(r"^ {4}(\w+): (.*(?:\n {5,}.*)*)", block, re.MULTILINE)}


def told(section: type) -> str:
    """What the class docstring says, but for the words that say which section it is."""
    text = re.sub(r"^Section `[^`]*` of params\.yaml[.:;]? ?", "", one_line(inspect.getdoc(section) or ""))
    return f"{text[0].upper()}{text[1:]} " if text else ""


def one_line(text: str) -> str:
    """Text fit for a cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
