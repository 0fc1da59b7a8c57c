"""The text of conf/dataset/mine.yaml: what was guessed of a corpus, a line each, with the reason of every guess."""

from dataclasses import fields

from pipeline.cli.layout import Layout
from pipeline.core import task
from pipeline.core.labels import hidden, shown
from pipeline.core.manifest import DatasetConfig, Manifest

HEAD = """\
# @package _global_
# Your own clips, as `pipeline init` found them. Change here what it guessed wrongly, then `pipeline params`.
defaults:
  - folder # all other settings of a corpus
  - _self_

dataset:
"""


EXTRACT = """
extract:
  short_side: {side} # of the stored frames, in pixels: the most that the set `small` takes; report models take 320
  shards: {shards} # files that the frames are kept in; aim at 1 to 8 GB each
"""
SHARDS = 4
"""Frame shards of a small corpus."""


def text(config: DatasetConfig, corpus: Manifest, layout: Layout, side: int) -> str:
    """The file that makes `config` out of conf/dataset/folder.yaml, with frames of a short side of `side` pixels."""
    annotations = "${.root}" if config.annotations == config.root else quoted(config.annotations)
    lines = {
        "format": f"{config.format} # guessed from {layout.why}; may be folder (a CSV), class_folders, lists",
        "root": f"{quoted(config.root)} # folder of the clips",
        "annotations": f"{annotations} # the labels",
        "classes": f"{quoted(config.classes)} # file with one class name a line; null takes every label that occurs",
        "task": f"{task.resolve(task.AUTO, corpus)} # {_of_task(corpus)}; single_label, multi_label or auto",
        "flip": "auto # mirrors training clips, unless names of classes are about left and right; true, false or pairs",
        "columns": f"{{{_of_columns(config)}}} # names of the CSV's columns where they are others",
        "group_pattern": f"{quoted(config.group_pattern)} # {_of_groups(corpus, config)}",
    }
    if not layout.splits:
        lines |= {
            "val_share": f"{config.val_share} # of the videos, as the annotations have no splits; stratified by label",
            "test_share": f"{config.test_share}",
            "split_seed": f"{config.split_seed} # another number draws another split",
        }
    known = {field.name for field in fields(DatasetConfig)}
    dataset = "".join(f"  {name}: {line}\n" for name, line in lines.items() if name in known)
    return HEAD + dataset + EXTRACT.format(side=side, shards=SHARDS)


def quoted(value: str | None) -> str:
    """A text as YAML and OmegaConf take it: as it stands."""
    if value is None:
        return "null"
    return "'" + value.replace("${", "\\${").replace("'", "''") + "'"


def _of_columns(config: DatasetConfig) -> str:
    return ", ".join(f"{kind}: {quoted(name)}" for kind, name in config.columns.items())


def _of_task(corpus: Manifest) -> str:
    labels = corpus.table["labels"]
    if several := sum(len(shown(text)) > 1 for text in labels):
        return f"guessed, as {several:,} videos have several labels"
    partly = sum(bool(hidden(text)) for text in labels)
    return (
        f"guessed, as {f'{partly:,} videos have labels that are not known' if partly else 'each video has one label'}"
    )


def _of_groups(corpus: Manifest, config: DatasetConfig) -> str:
    found = len(set(corpus.groups.values()))
    if config.group_pattern is None:
        return f"{found:,} groups of a column" if found else "no groups; a regular expression of a part of the path"
    return f"guessed: {found:,} groups by names of files, which no split tears apart; null where they are none"
