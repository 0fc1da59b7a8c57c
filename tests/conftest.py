"""What several tests share: clips that FFmpeg recorded, and small stores of frames that need no FFmpeg."""

import io
import tarfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pandas as pd
import pytest
import simplejpeg
import torch

import stages  # noqa: F401 - it sets how PyTorch's threads wait in the processes that tests start
from pipeline.clips import packing
from pipeline.clips.frame_store import FrameStore
from pipeline.core import frame_index
from tests.support.browser import BROWSER

Videos = Mapping[str, Sequence[bytes]]
torch.set_num_threads(1)  # two processes of tests share two cores, and threads that wait for one another spin

WANTING = {
    "gpu": (torch.cuda.is_available(), "PyTorch sees no GPU here (CONTRIBUTING.md)"),
    "browser": (
        BROWSER is not None,
        "there is no Chromium here: install one, or name it in $CHROMIUM, for `make browser` (CONTRIBUTING.md)",
    ),
}
"""Marker -> whether what its tests need is here, and what is said where it is not."""
LEFT_OUT = pytest.StashKey[set[str]]()


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Pass over what `-m gpu` selects nothing of: many files import what a machine with a GPU need not have."""
    if config.option.markexpr != "gpu" or collection_path.suffix not in ("", ".py"):
        return None
    files = collection_path.rglob("test_*.py") if collection_path.is_dir() else [collection_path]
    return not any("pytest.mark.gpu" in file.read_text(encoding="utf-8") for file in files) or None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what needs something that is not here."""
    absent = {name for name, (here, _) in WANTING.items() if not here}
    left_out = [item for item in items if any(map(item.get_closest_marker, absent))]
    if left_out:
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)
    config.stash[LEFT_OUT] = {name for name in absent for item in left_out if item.get_closest_marker(name)}


@pytest.hookimpl(trylast=True)  # after the durations, or nobody would see it
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say which tests were left out; of several processes, the one that talks collects none."""
    for name, (here, why) in WANTING.items():
        if not here and name in config.stash.get(LEFT_OUT, set(WANTING)):
            terminalreporter.write_line(f"NOT RUN: the tests marked {name}, since {why}.")


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the recorded clips, made once; read it, never write into it."""
    from tests.support import corpus  # which needs FFmpeg

    folder = tmp_path_factory.mktemp("clips")
    corpus.record(folder)
    return folder


@pytest.fixture
def shards(tmp_path: Path) -> Callable[..., Path]:
    """Write a folder like `extract` does: `shards(a={"video": jpegs}, b={})` are the tars a and b, and their index."""

    def write(to: str = "frames", **tars: Videos) -> Path:
        folder = tmp_path / to
        folder.mkdir()
        rows = []
        for name, videos in tars.items():
            with tarfile.open(folder / f"{name}.tar", "w") as tar:
                for video, jpegs in videos.items():
                    height, width, _, _ = simplejpeg.decode_jpeg_header(jpegs[0])
                    rows.append((video, name, len(jpegs), width, height, *[len(jpegs)] * 2, 0, ""))
                    for number, jpeg in enumerate(jpegs):
                        entry = tarfile.TarInfo(f"{video}/{number:06d}.jpg")
                        entry.size = len(jpeg)
                        tar.addfile(entry, io.BytesIO(jpeg))
        frame_index.write(folder / frame_index.FILE, pd.DataFrame(rows, columns=list(frame_index.COLUMNS)))
        return folder

    return write


@pytest.fixture
def packed(shards: Callable[..., Path], tmp_path: Path) -> Callable[[Videos], FrameStore]:
    """Pack some videos into a store of one shard."""

    def pack(videos: Videos) -> FrameStore:
        (tmp_path / "scratch").mkdir(exist_ok=True)
        packing.pack(shards(a=dict(sorted(videos.items()))), tmp_path / "lmdb", tmp_path / "scratch")
        return FrameStore(tmp_path / "lmdb")

    return pack
