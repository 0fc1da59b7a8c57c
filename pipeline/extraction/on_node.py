"""A node of a Ray cluster that is to extract: it must have the FFmpeg and see the videos of the node that hands out."""

import platform
from collections.abc import Iterable, Mapping
from pathlib import Path

from pipeline.core import fingerprints
from pipeline.core.errors import UserError
from pipeline.core.machine import Machine, ffmpeg_version
from pipeline.core.remote_folder import RemoteFile, RemoteFolder


def same_ffmpeg(machine: Machine, version: str) -> str:
    """Path of the FFmpeg of this node.

    Raises:
        UserError: there is none, or it is not of this version, and its frames might be others.
    """
    binary = machine.ffmpeg_path()
    if ffmpeg_version(binary) != version:
        raise UserError(
            f"The node {platform.node()} has FFmpeg {ffmpeg_version(binary)} ({binary}), and the node that hands out "
            f"the work {version}. Install the same on all (`make install` brings the pinned one), or name one that all "
            "have in machine.ffmpeg."
        )
    return binary


def sees(root: Path | RemoteFolder, rows: Iterable[Mapping[str, str]]) -> None:
    """Refuse a corpus that is not that of the manifest; of its rows, the first video that can be read is looked at.

    Else a node without the corpus would call all videos missing.

    Raises:
        UserError: the video is missing here, or has another fingerprint.
    """
    row = next((row for row in rows if row["fingerprint"] not in fingerprints.FAULTS), None)
    if row and _fingerprint(root / row["path"], row["fingerprint"]) != row["fingerprint"]:
        raise UserError(
            f"{root / row['path']} on the node {platform.node()} is not the file of the manifest. Let that node see "
            "the corpus that all see (dataset.root); or, if the file was replaced, `dvc repro`."
        )


def _fingerprint(path: Path | RemoteFile, known: str) -> str:
    """The fingerprint of a file; a remote one is asked for as large as it was known, which saves a listing."""
    if isinstance(path, RemoteFile):
        return fingerprints.of_remote(path, fingerprints.size_of(known))
    return fingerprints.of_file(path)
