"""conf/ -> the text of params.yaml. `pipeline params` writes it; `dvc exp run` does so by itself.

`dvc repro` takes its settings from the committed params.yaml and none from conf/: stage `check` says where they differ.
"""

import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from dvc.utils.hydra import compose_and_dump
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

log = logging.getLogger(__name__)
BROKEN = (HydraException, OmegaConfBaseException, yaml.YAMLError, ValueError)
"""What a wrong override or a broken file of conf/ raises."""
NO_RESULT = (
    *("machine.", "infer.", "report.", "size.", "extract.keep.", "fold_lists.", "folds."),
    *("features.", "sound.", "flow.by."),
    *("dataset.root.", "dataset.annotations.", "dataset.after.", "dataset.classes."),
)
"""Beginnings of names of settings that change no result, or only serve conf/, or say where the corpus lies."""


def text(conf: Path, overrides: Sequence[str] = ()) -> str:
    """The composition of `conf` with Hydra `overrides`, byte for byte as `dvc exp run` writes it."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "params.yaml"
        compose_and_dump(file, str(conf.resolve()), None, "config", folder, list(overrides))
        return file.read_text(encoding="utf-8")


def differences(params: Path, conf: Path) -> list[str]:
    """The settings of `params` that differ from `conf` composed: values first, then what only one of the two has.

    Raises:
        one of BROKEN: `conf` does not compose, or `params` is no YAML.
    """
    composed, ours = yaml.safe_load(text(conf)), yaml.safe_load(params.read_text(encoding="utf-8"))
    return sorted(_differences(ours, composed), key=lambda found: (found[0] in "+-", found))


def overrides(params: Path, conf: Path) -> list[str] | None:
    """The differences that a result may come from, without paths of this machine; None where conf/ does not compose."""
    try:
        found = differences(params, conf)
    except BROKEN:
        return None
    return [one for one in found if not f"{one.partition('=')[0].lstrip('+-')}.".startswith(NO_RESULT)]


def shortened(found: Sequence[str]) -> str:
    """The first of many, for a message of one line."""
    return ", ".join(found[:3]) + (", ..." if len(found) > 3 else "")


def announce(params: Path, conf: Path) -> None:
    """Say in one line what params.yaml overrides, if it is not conf/ composed."""
    if not (params.is_file() and conf.is_dir()):
        return
    try:
        found = differences(params, conf)
    except BROKEN as error:  # whoever reads params.yaml says what is wrong with it; conf/ is not read by a stage
        log.warning("params.yaml cannot be compared with conf/: %s", error)
        return
    if found:
        log.warning(
            "params.yaml differs from conf/ as it stands in %d of its settings: %s", len(found), shortened(found)
        )


def _differences(ours: Any, composed: Any, path: str = "") -> list[str]:
    if ours == composed:
        return []
    if not (isinstance(ours, dict) and isinstance(composed, dict)):
        return [f"{path}={ours!r}"]
    found = []
    for key in {**ours, **composed}:
        where = f"{path}.{key}" if path else str(key)
        if key not in composed:
            found.append(f"+{where}")
        elif key not in ours:
            found.append(f"-{where}")
        else:
            found += _differences(ours[key], composed[key], where)
    return found
