"""What several tests share: clips that FFmpeg recorded, and small stores of frames that need no FFmpeg."""

import io
import tarfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pandas as pd
import pytest
import simplejpeg

import stages  # noqa: F401 - first: it sets how PyTorch's threads wait
from pipeline.clips import packing
from pipeline.clips.frame_store import FrameStore
from pipeline.core import frame_index
from tests.support import corpus

Videos = Mapping[str, Sequence[bytes]]


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the recorded clips, made once; read it, never write into it."""
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
