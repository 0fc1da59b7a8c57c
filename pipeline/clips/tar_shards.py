"""Tar shards, as stage `extract` writes them: `<video>/000000.jpg` and so on, one video after another."""

import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from pipeline.core import checksums, frame_index
from pipeline.core.errors import UserError


def videos(tar: Path, frames: Mapping[str, int]) -> Iterator[tuple[str, list[bytes]]]:
    """Pairs (id, JPEGs) of the videos of a tar, in its order.

    Args:
        tar: is read, and nothing of it is written anywhere: a member's name is no more than the id of its video.
        frames: video -> the number of its frames, as the index says.

    Raises:
        UserError: the tar is damaged, or does not hold what the index says.
    """
    seen = 0
    for video, jpegs in _grouped(tar):
        if frames.get(video) != len(jpegs):
            raise damaged(tar, f"{video!r} has {len(jpegs)} frames there, and other frames in {frame_index.FILE}")
        seen += 1
        yield video, jpegs
    if seen != len(frames):
        raise damaged(tar, f"it holds {seen} of {len(frames)} videos")


def damaged(tar: Path, why: str) -> UserError:
    """The error for a tar that is not as it was written."""
    return UserError(
        f"The frame shard {tar} is damaged ({why}). Where it is missing, `dvc repro extract` makes it again. "
        f"{checksums.REBUILD}"
    )


def _grouped(tar: Path) -> Iterator[tuple[str, list[bytes]]]:
    """Pairs (id, JPEGs) of the videos of a tar, whose frames lie one after the other."""
    video = ""
    jpegs: list[bytes] = []
    end = tar.stat().st_size
    try:
        with tarfile.open(tar, "r:") as archive, tar.open("rb", buffering=0) as file:
            while (member := archive.next()) is not None:
                archive.members.clear()  # type: ignore[attr-defined]  # or a kilobyte of each frame stays
                owner = member.name.rpartition("/")[0]
                if owner != video and jpegs:
                    yield video, jpegs
                    jpegs = []
                video = owner
                if not member.isreg() or member.issparse():
                    raise damaged(tar, f"{member.name!r} is no file")
                if not 0 <= member.size <= end - member.offset_data:
                    raise damaged(tar, f"{member.name!r} is cut short")
                file.seek(member.offset_data)  # a file of `extractfile` takes longer than the bytes do
                jpegs.append(file.read(member.size))
    except (tarfile.TarError, EOFError) as error:
        raise damaged(tar, str(error)) from error
    if jpegs:
        yield video, jpegs
