"""What was changed from one run to another: settings, code and videos, by name and value."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from pipeline.comparison.run import Run

ABSENT = "(none)"
"""What stands for the value of a setting that a run does not have."""


@dataclass(frozen=True)
class Change:
    """One thing that differs."""

    kind: str
    """settings, code or videos."""
    name: str
    """Dotted name of a setting, path of a file, or what happened to how many videos."""
    before: str
    """Its value in the first run, as JSON; empty where a name says it all."""
    after: str
    """Its value in the other."""

    def __str__(self) -> str:
        return f"{self.name}: {self.before} -> {self.after}" if self.before or self.after else self.name


def between(one: Run, other: Run) -> list[Change]:
    """All that differs, settings first."""
    return [*of_settings(one.settings, other.settings), *_of_code(one.code, other.code), *_of_videos(one, other)]


def title(changes: Sequence[Change], most: int = 3) -> str:
    """A run named by what was set, as `train.lr 0.01 -> 0.1`; the names are as short as they can be told apart."""
    if not changes:
        return "nothing was changed"
    names = _short([change.name for change in changes if change.kind == "settings"])
    told = [
        f"{names[change.name]} {change.before} -> {change.after}" if change.name in names else str(change)
        for change in changes[:most]
    ]
    return ", ".join([*told, *([f"and {len(changes) - most} more"] if len(changes) > most else [])])


def of_settings(one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[Change]:
    """The settings (dotted name -> value) that differ; nothing where one of the two has none at all."""
    if not one or not other:
        return
    names = [*one, *(name for name in other if name not in one)]
    told = set()
    for name in names:
        section = _lacking(name, one, other)
        if section in told:
            continue
        if section:
            told.add(section)
            yield Change("settings", section, *(_presence(section, side) for side in (one, other)))
        elif one.get(name, ABSENT) != other.get(name, ABSENT):
            yield Change("settings", name, *(_value(name, side) for side in (one, other)))


def _lacking(name: str, one: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """The uppermost section above a setting that one of the two lacks wholly, such as a model; or nothing."""
    parts = name.split(".")
    for depth in range(2, len(parts)):
        section = ".".join(parts[:depth])
        if _has(section, one) != _has(section, other):
            return section
    return ""


def _has(section: str, settings: Mapping[str, Any]) -> bool:
    return section in settings or any(name.startswith(f"{section}.") for name in settings)


def _presence(section: str, settings: Mapping[str, Any]) -> str:
    return "(there)" if _has(section, settings) else ABSENT


def _value(name: str, settings: Mapping[str, Any]) -> str:
    return json.dumps(settings[name], ensure_ascii=False) if name in settings else ABSENT


def _of_code(one: Mapping[str, str], other: Mapping[str, str]) -> Iterator[Change]:
    if not one or not other:
        return
    differ = {path for path in one.keys() & other.keys() if one[path] != other[path]}
    for path in sorted(differ):
        if not any(str(folder) in differ for folder in PurePosixPath(path).parents):
            yield Change("code", path, one[path][:7], other[path][:7])


def _of_videos(one: Run, other: Run) -> Iterator[Change]:
    """How many videos came, went, or have another file, label or split."""
    if one.videos.empty or other.videos.empty:
        return
    before, after = one.videos.index, other.videos.index
    for what, videos in (("new", after.difference(before)), ("gone", before.difference(after))):
        if len(videos):
            yield Change("videos", f"{len(videos):,} {what} ({_named(videos)})", "", "")
    both = before.intersection(after)
    old, new = one.videos.loc[both], other.videos.loc[both]
    for column, what in (("split", "in another split"), ("labels", "with other labels"), ("fingerprint", "replaced")):
        videos = both[(old[column] != new[column]).to_numpy()]
        if len(videos):
            yield Change("videos", f"{len(videos):,} {what} ({_named(videos)})", "", "")


def _named(videos: Sequence[str], most: int = 2) -> str:
    return ", ".join([*list(videos)[:most], *(["..."] if len(videos) > most else [])])


def _short(names: Sequence[str]) -> dict[str, str]:
    """Each dotted name -> its shortest end, of two parts or more, that no other of the names has."""
    short = {}
    for name in names:
        parts = name.split(".")
        ends = (".".join(parts[-length:]) for length in range(min(2, len(parts)), len(parts) + 1))
        others = [other for other in names if other != name]
        short[name] = next((end for end in ends if not any(f".{other}".endswith(f".{end}") for other in others)), name)
    return short
