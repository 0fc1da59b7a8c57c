"""Guess the settings of a folder of clips, and say what it takes.

    pipeline init ~/clips                               a CSV in or beside it, lists, or one folder a class
    pipeline init ~/clips --annotations labels.csv      the labels lie elsewhere

It guesses how the videos are annotated, and writes conf/dataset/mine.yaml, where each guess stands with its reason,
sets `dataset: mine` in conf/config.yaml and composes params.yaml. Where something is wrong nothing is written.
"""

import argparse
import logging
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.cli.arguments import CONF
from pipeline.core.errors import UserError

if TYPE_CHECKING:
    from pipeline.cli.layout import Layout
    from pipeline.core.manifest import DatasetConfig, Manifest

MINE, CONFIG = Path("dataset/mine.yaml"), Path("config.yaml")
SET = "small"
"""The set of models for a corpus of one's own, where conf/model has it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `pipeline init`."""
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="where the video files lie, here or anywhere")
    parser.add_argument("--annotations", type=Path, metavar="FILE", help="CSV or list, where it is not found by itself")
    parser.add_argument(
        "--classes", type=Path, metavar="FILE", help="a class name a line, for lists that count classes"
    )
    parser.add_argument("--force", action="store_true", help="replace conf/dataset/mine.yaml")
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder of the results (default: data)")


def run(args: argparse.Namespace) -> None:
    """Guess, check, write, and print what will happen.

    Raises:
        UserError: the folder or its annotations are wrong, mine.yaml is there, or a setting would be wrong.
    """
    import yaml

    from pipeline.check import check
    from pipeline.cli import dataset_file, forecast, layout, outlook
    from pipeline.core import doubles, files, params
    from pipeline.core.machine import Machine, scratch_folder
    from pipeline.datasets import _doubles
    from pipeline.extraction.config import ExtractConfig

    if not (CONF / CONFIG).is_file():
        raise UserError(f"There is no {CONF / CONFIG} here. Run this in the project's root.")
    if not args.folder.exists():
        near = [path.name for path in args.folder.absolute().parent.glob("*/")]
        raise UserError(f"There is no folder {args.folder}.{params.hint(args.folder.name, near, most=0)}")
    if not args.folder.is_dir():
        raise UserError(f"{args.folder} is no folder.")
    if (CONF / MINE).exists() and not args.force:
        raise UserError(
            f"{CONF / MINE} is there. --force replaces it; `pipeline params` takes over what you changed in it."
        )
    if Path.cwd().is_relative_to(args.folder.resolve()):
        raise UserError(f"{args.folder} holds this project and what it writes. Put the clips into another folder.")
    found = layout.guess(args.folder, args.annotations)
    config, corpus = _read(args, found)
    changed = {
        CONF / MINE: dataset_file.text(config, corpus, found, _side()),
        CONF / CONFIG: _config((CONF / CONFIG).read_text("utf-8")),
    }
    text = _composed(changed)
    chosen = yaml.safe_load(text)
    check(chosen, args.data / "predictions")
    machine = params.build(Machine, chosen["machine"], "machine")
    extract = params.build(ExtractConfig, chosen["extract"], "extract")
    place = args.folder, scratch_folder(machine, "index"), machine.processes
    corpus, copies = _doubles.settle(config, corpus, doubles.find(corpus, *place))
    _doubles.tell(config, copies, corpus)
    measured = forecast.measure(args.folder, _present(corpus), extract, machine)
    for path, content in {**changed, params.FILE: text}.items():
        files.write_text(path, content)
    print("\n".join(outlook.lines(found, corpus, len(copies), chosen, measured, machine)))
    print(f"written    {CONF / MINE} (what is guessed wrongly is changed there, then `pipeline params`),")
    print(f"           {CONF / CONFIG}, {params.FILE}\nnext       dvc repro")


def _read(args: argparse.Namespace, found: "Layout") -> "tuple[DatasetConfig, Manifest]":
    """Section `dataset` for the folder, and the corpus as it is read by that.

    Raises:
        UserError: the annotations are malformed, no split can be made, or no file is there.
    """
    from dataclasses import replace

    import yaml

    from pipeline.cli import compose, layout
    from pipeline.core import fingerprints, params, registry
    from pipeline.core.machine import Machine, scratch_folder
    from pipeline.core.manifest import DatasetConfig

    root, annotations = (_written(path) for path in (args.folder, found.annotations))
    classes = args.classes or layout.class_file(found)
    own: dict[str, Any] = {
        "format": found.format,
        "root": root,
        "annotations": annotations,
        "columns": dict(found.columns),
    }
    own |= {"classes": None if classes is None else _written(classes)}
    base = yaml.safe_load(compose.text(CONF, ["dataset=folder"]))
    config = params.build(DatasetConfig, {**base["dataset"], **own}, "dataset")
    machine = params.build(Machine, base["machine"], "machine")
    read = registry.find("datasets", config.format).read
    logging.disable(logging.WARNING)  # what it warns of is said once, by the second reading
    try:
        corpus: Manifest = read(config)
    finally:
        logging.disable(logging.NOTSET)
    pattern = None if corpus.groups else layout.group_pattern(corpus.videos)
    config = replace(config, group_pattern=pattern)
    corpus = fingerprints.look(read(config), args.folder, scratch_folder(machine, "index"), machine.processes)
    if not _present(corpus):
        raise UserError(
            f"None of the {len(corpus):,} files that {annotations} names is in {args.folder}. Paths are relative to it."
        )
    return config, corpus


def _side() -> int:
    """The largest short side that a model of the set for small corpora takes, in pixels."""
    import yaml

    from pipeline.check import side_of
    from pipeline.cli import compose

    chosen = [f"model={SET}"] if (CONF / "model" / f"{SET}.yaml").is_file() else []
    models = yaml.safe_load(compose.text(CONF, ["dataset=folder", *chosen]))["models"]
    return max(map(side_of, models.values()))


def _written(path: Path) -> str:
    """A path as settings have it: relative to the project where it lies inside, else absolute."""
    whole = path.resolve()
    return (whole.relative_to(Path.cwd()) if whole.is_relative_to(Path.cwd()) else whole).as_posix()


def _config(text: str) -> str:
    """config.yaml with the corpus `mine` and, where there is one, the set of models for it; comments stay.

    Raises:
        UserError: its defaults name no corpus or no models.
    """
    wanted = {"dataset": MINE.stem} | ({"model": SET} if (CONF / "model" / f"{SET}.yaml").is_file() else {})
    for group, choice in wanted.items():
        text, times = re.subn(rf"(?m)^(\s*-\s*{group}:[ ]*)[^\s#]+", rf"\g<1>{choice}", text, count=1)
        if not times:
            raise UserError(f"{CONF / CONFIG} has no line `- {group}: ...` under defaults. Add it.")
    return text


def _composed(changed: dict[Path, str]) -> str:
    """The text of params.yaml with some files of conf/ changed, which stay as they are."""
    import shutil

    from pipeline.cli import compose

    with tempfile.TemporaryDirectory() as name:
        conf = Path(name) / CONF
        shutil.copytree(CONF, conf)
        for path, content in changed.items():
            (Path(name) / path).write_text(content, encoding="utf-8")
        try:
            return compose.text(conf)
        except compose.BROKEN as error:
            raise UserError(f"conf/ does not compose: {error}") from error


def _present(corpus: "Manifest") -> list[dict[str, str]]:
    """The rows of the manifest whose files are there."""
    from pipeline.core.fingerprints import FAULTS

    table = corpus.table[~corpus.table["fingerprint"].isin(FAULTS)]
    return [{str(name): cell for name, cell in row.items()} for row in table.to_dict("records")]
