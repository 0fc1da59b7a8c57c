"""A finished project, made once by stages by hand, and copies of it to break."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.core import files
from tests.support import stage_process


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, clips: Path) -> Path:
    """Read it, never write into it."""
    folder = stage_process.make(tmp_path_factory.mktemp("finished") / "project", clips)
    for stage in stage_process.ORDER:
        ended = stage_process.run(stage, folder)
        assert ended.status == 0, ended.said
    return folder


@pytest.fixture
def without(finished: Path, tmp_path: Path, clips: Path) -> Callable[..., Path]:
    """A copy of the finished project in which a stage and those after it have not run, with changed settings."""

    def copy(stage: str, *changes: str) -> Path:
        folder = stage_process.make(tmp_path / "project", clips, *changes)
        shutil.copytree(finished / "data", folder / "data")
        for later in stage_process.ORDER[stage_process.ORDER.index(stage) :]:
            for out in stage_process.outs(later):
                files.remove(folder / out)
        return folder

    return copy
