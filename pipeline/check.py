"""Everything that is wrong with params.yaml, said before anything runs.

Every section is built as its stage will build it, those of models by check_model.py. Files and folders that settings
name must exist, and names of models must be those of models. Nothing is read of the corpus, nothing is fetched, and
GPUs are not looked for, as another machine may train.
"""

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from pipeline.check_model import check_model, reported
from pipeline.clips import flips, short_sides
from pipeline.clips.inputs import hears, input_of
from pipeline.clips.short_sides import PackConfig
from pipeline.clips.transforms import AugmentConfig, asked_side
from pipeline.core import params, ray_engine, registry
from pipeline.core.errors import UserError
from pipeline.core.machine import Machine
from pipeline.core.manifest import DatasetConfig
from pipeline.core.remote_folder import RemoteFolder, corpus_root
from pipeline.core.task import AUTO
from pipeline.demo.corpus import DemoConfig
from pipeline.ensemble.config import NOT, EnsembleConfig
from pipeline.extraction.config import ExtractConfig
from pipeline.flow import config as flow
from pipeline.flow.config import FlowConfig
from pipeline.inference.run import InferConfig
from pipeline.report.config import ReportConfig
from pipeline.training import trackers
from pipeline.training.frozen_config import FROZEN

SECTIONS = {
    "dataset": DatasetConfig,
    "extract": ExtractConfig,
    "pack": PackConfig,
    "flow": FlowConfig,
    "infer": InferConfig,
    "ensemble": EnsembleConfig,
    "report": ReportConfig,
    "machine": Machine,
}
GENERATED = {"demo": DemoConfig}
"""Sections that only a generated corpus has."""
COMPOSED = ("models", "features", "sound", "size", "folds", "fold_lists")
"""Sections without a dataclass: the models, and what conf/ composes others from."""
CLONE = " With pulled frames and no videos, `dvc checkout && dvc repro --downstream extract` goes on."
"""The way out for a clone that has all that was made, and not the corpus (docs/sharing.md)."""
ANNOTATIONS = {"folder": (Path.is_file, "file"), "class_folders": (Path.is_dir, "folder")}
"""What `dataset.annotations` is where it is not a file with some formats and a folder with others."""
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")


def check(settings: Any, predictions: Path) -> None:
    """Refuse settings with which some stage would fail.

    Args:
        settings: all of params.yaml, as plain values.
        predictions: folder with a folder for each imported member, which is no model of the settings.

    Raises:
        UserError: a line for all that is wrong: the dotted path, what is wrong, the nearest right name, and the file
            of conf/ where it is set.
    """
    found = problems(settings, predictions) if isinstance(settings, Mapping) else ["params.yaml: holds no settings."]
    if found:
        lines = [f"  {line}" for problem in found for line in _with_home(problem).splitlines()]
        count = "1 setting is" if len(found) == 1 else f"{len(found)} settings are"
        raise UserError("\n".join([f"{count} wrong, and nothing was started:", *lines, params.MENDED]))


def side_of(model: Mapping[str, Any]) -> int:
    """The largest short side, in pixels, that a section `models.<name>` takes of the frames; 0 where it hears."""
    if hears(model["clip"]):
        return 0
    augment = model["train"].get("augment", {})
    sides: list[int] = [model["clip"]["side"], *model["test"]["sides"], augment.get("crop", 0)]
    return max(*sides, *(augment.get("sides") or ()))


def doubts(settings: Mapping[str, Any]) -> list[str]:
    """What right settings may do that was hardly meant, a line each; they have passed `check`."""
    stored = settings["extract"]["short_side"]
    of_flow = min(stored, settings["flow"]["short_side"] or stored)
    imported = settings["flow"]["folder"] is not None  # flow of any size, of which no stored frame is read
    models, smaller = settings["models"], settings["pack"]["short_sides"][1:]
    found, read = [], set()
    for name, model in models.items():
        side, of = side_of(model), "flow" if _takes_flow(model) else "frames"
        if of == "flow" and imported:
            continue
        if of == "flow" and side > of_flow:
            found.append(
                f"models.{name}: takes flow of {side} pixels, and it is computed at {of_flow} and scaled up. Raise "
                "flow.short_side (and extract.short_side, if need be), or lower the model's sides."
            )
        elif of == "frames" and side > stored:
            found.append(
                f"models.{name}: takes frames of {side} pixels, and extract.short_side keeps {stored}, which are "
                "scaled up. Raise it in conf/dataset/ (all is extracted anew), or lower the model's sides."
            )
        read |= {short_sides.choose(smaller, asked) for asked in ({of_flow} if of == "flow" else _asked(model))}
    return found + [
        f"pack.short_sides: no model reads the frames of {side} pixels; docs/scaling.md says what models ask for."
        for side in smaller
        if side not in read
    ]


def _asked(model: Mapping[str, Any]) -> set[int]:
    """The short sides that a section `models.<name>` asks of the stored frames (pipeline/clips/short_sides.py)."""
    if hears(model["clip"]):
        return set()
    sides = {model["clip"]["side"], *model["test"]["sides"]}
    if augment := model["train"].get("augment"):
        sides.add(asked_side(params.build(AugmentConfig, augment, "augment")))
    return sides


def problems(settings: Mapping[str, Any], predictions: Path) -> list[str]:
    """All that is wrong, a line each that begins with the setting's dotted path."""
    known = {**SECTIONS, **GENERATED, **dict.fromkeys(COMPOSED)}
    found = [f"{name}: there is no such section.{params.hint(name, known)}" for name in settings if name not in known]
    found += [f"{name}: this section is missing." for name in SECTIONS if name not in settings]
    built: dict[str, Any] = {
        name: params.attempt(kind, settings[name], name, found)
        for name, kind in {**SECTIONS, **GENERATED}.items()
        if name in settings
    }
    models = settings.get("models")
    if not (isinstance(models, Mapping) and models):
        found.append("models: there must be at least one model, e.g. model=tsn_demo.")
        models = {}
    dataset = built.get("dataset")
    found += [
        f"models.{name}: a model's name is that of its folder: letters, digits, _, - and dots, a letter or digit first."
        for name in models
        if not _NAME.fullmatch(str(name))
    ]
    for name, section in models.items():
        check_model(section, f"models.{name}", dataset.task if dataset else AUTO, found)
    frozen = {str(name) for name, section in models.items() if _is_probe(section)}
    frozen_ones = " or ".join(FROZEN)
    for name in sorted(frozen ^ set(settings.get("features") or {})):
        found.append(
            f"features: must name each model whose arch is {frozen_ones} and no other, but {name!r} is in one alone."
        )
    found += _wrong_sound(settings.get("sound"), [str(name) for name, section in models.items() if _hears(section)])
    if flow_of := built.get("flow"):
        found += _wrong_flow(flow_of, [str(name) for name, section in models.items() if _takes_flow(section)])
    if dataset:
        _check_corpus(dataset, settings, predictions.parent, found)
    if (pack := built.get("pack")) and (extract := built.get("extract")):
        first, stored = pack.short_sides[0], extract.short_side
        found += [f"pack.short_sides: must begin with extract.short_side, {stored}, not {first}."] * (first != stored)
    if models and (ensemble := built.get("ensemble")):
        _check_ensemble(ensemble, [str(name) for name in models], predictions, found)
    if machine := built.get("machine"):
        _check_machine(machine, found)
    return found


def _check_machine(machine: Machine, found: list[str]) -> None:
    with reported(found, "machine.ffmpeg: "):
        machine.ffmpeg_path()
    if machine.engine == "ray":
        with reported(found, "machine.engine: "):
            ray_engine.library()
    for logger in machine.loggers:
        with reported(found, ""):
            trackers.require(logger)


def _check_corpus(dataset: DatasetConfig, settings: Mapping[str, Any], data: Path, found: list[str]) -> None:
    with reported(found, ""):
        registry.find("datasets", dataset.format, where="dataset.format")
    sound, wrong = flips.rule(dataset.flip)
    found += [] if sound else [f"dataset.{wrong}"]
    found += [
        f"{name}: this section is missing, and dataset.generated asks for it."
        for name in dataset.generated
        if name not in settings
    ]
    if settings.get("folds", {}).get("numbers") != list(range(1, dataset.folds + 1)):
        found.append(f"folds: are not those of dataset.folds: {dataset.folds}, which conf/config.yaml makes them from.")
    wanted = {
        "root": (Path.is_dir, "folder"),
        "annotations": ANNOTATIONS.get(dataset.format, (Path.exists, "file or folder")),
        "classes": (Path.is_file, "file"),
    }
    for name, (exists, kind) in wanted.items():
        value = getattr(dataset, name)
        if value is not None and isinstance(place := corpus_root(value), RemoteFolder):
            if kind != "folder":
                found.append(f"dataset.{name}: must be a {kind} of this machine, and no URL. Fetch it.")
                continue
            with reported(found, f"dataset.{name}: "):
                place.require_package()
        elif value is not None and not exists(Path(value)) and not _will_be_made(Path(value), dataset):
            made = (data / "frames").exists() or (data / "manifest.tsv").exists()
            way = CLONE if name == "root" and made else ""
            found.append(f"dataset.{name}: there is no {kind} {value}.{way}")


def _will_be_made(path: Path, dataset: DatasetConfig) -> bool:
    """Whether a path lies in the generated corpus."""
    return bool(dataset.generated) and path.resolve().is_relative_to(Path(dataset.after).resolve())


def _check_ensemble(ensemble: EnsembleConfig, models: list[str], predictions: Path, found: list[str]) -> None:
    imported = {folder.name for folder in predictions.glob("*/")}
    for member in ensemble.members:
        if member not in models and member not in imported:
            near = params.hint(member, models)
            found.append(f"ensemble.members: {member!r} is no model, and {predictions} has no such folder.{near}")
    conf = [file.stem for file in Path("conf/model").glob("*.yaml")]
    known = [*models, *ensemble.members, *conf]  # the default patterns are for every set of models
    for name, patterns in ensemble.subsets.items():
        for pattern in patterns:
            if not any(fnmatchcase(model, pattern.removeprefix(NOT)) for model in known):
                near = params.hint(pattern, models)
                found.append(f"ensemble.subsets.{name}: no model is called {pattern!r}, in conf/model neither.{near}")


def _wrong_sound(given: Any, hearing: list[str]) -> list[str]:
    """What is wrong with the list that makes the stage `sound`."""
    if hearing and given != ["mono"]:
        return [f"sound: must be [mono], as {hearing[0]!r} hears: let its file in conf/model/ take /sound/mono."]
    return ["sound: must be [], as no model hears."] * (not hearing and given != [])


def _wrong_flow(config: FlowConfig, takers: list[str]) -> list[str]:
    """What is wrong with the flow of models that take it."""
    if not takers:
        return ["flow.by: must be [], as no model takes flow."] * bool(config.by)
    if not config.by:
        return [f"flow.by: must be [dis], as {takers[0]!r} takes flow: let its file in conf/model/ take /flow/dis."]
    found: list[str] = []
    if config.folder is None:
        with reported(found, "flow: "):
            flow.library()
    elif not Path(config.folder).is_dir():
        found.append(f"flow.folder: there is no folder {config.folder}.")
    return found


def _takes_flow(section: Any) -> bool:
    """Whether a section `models.<name>` is of a model that takes flow."""
    return isinstance(section, Mapping) and input_of(section.get("clip")) == "flow"


def _hears(section: Any) -> bool:
    """Whether a section `models.<name>` is of a model that hears."""
    return isinstance(section, Mapping) and hears(section.get("clip"))


def _is_probe(section: Any) -> bool:
    """Whether a section `models.<name>` is of a frozen network, whose features a stage computes."""
    return isinstance(section, Mapping) and section.get("arch") in FROZEN


def _with_home(problem: str) -> str:
    """What is wrong, whose first line ends with the file of conf/ where the setting is set."""
    first, *more = problem.splitlines()
    return "\n".join([f"{first} ({_home(problem)})", *more])


def _home(problem: str) -> str:
    """The file of conf/ where the setting of a line is set."""
    section, _, name = problem.partition(":")[0].partition(".")
    if section == "models":
        return f"conf/model/{name.partition('.')[0]}.yaml" if name else "conf/config.yaml"
    return {"dataset": "conf/dataset/", "demo": "conf/dataset/demo.yaml"}.get(section, "conf/config.yaml")
