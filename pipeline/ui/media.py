"""Videos and frames for the browser: files of the manifest below the corpus' root, and JPEGs of the packed frames."""

import math
from pathlib import Path, PurePosixPath

from pipeline.clips.frame_store import FrameStore
from pipeline.core import frame_index, video_files
from pipeline.core.errors import UserError
from pipeline.core.remote_folder import RemoteFolder
from pipeline.ui.catalogue import Catalogue

TYPES = {
    ".mp4": "video/mp4",
    ".m4v": "video/mp4",
    ".mov": "video/mp4",
    ".webm": "video/webm",
    ".mkv": "video/webm",
    ".ogv": "video/ogg",
    ".gif": "image/gif",
}
"""Ending of a file -> what a browser is told that it is. It plays none of the other kinds."""
FRAMES = 6
"""Frames of a strip."""
_WIDTH = 200
"""Least short side of a frame, where the store has several sizes."""


class Media:
    """What can be seen of the videos of a catalogue.

    Args:
        root: the root of the corpus.
        lmdb: the folder of packed frames; where it has no index, there are no frames to see.
    """

    def __init__(self, catalogue: Catalogue, root: Path | RemoteFolder, lmdb: Path) -> None:
        self._catalogue, self._root = catalogue, root
        self._store = FrameStore(lmdb).at(_WIDTH) if (lmdb / frame_index.FILE).is_file() else None

    def kind(self, video: int) -> str:
        """What a browser is told that a video is; empty where no browser plays it, or it does not lie here."""
        try:
            self.file(video)
        except UserError:
            return ""
        return TYPES.get(PurePosixPath(self._catalogue.paths[video].as_py()).suffix.lower(), "")

    def file(self, video: int) -> Path:
        """The file of a video, links resolved.

        Raises:
            UserError: there is no such file, it is a pipe or the like, or lies outside of the corpus' root.
        """
        path: str = self._catalogue.paths[video].as_py()
        if isinstance(self._root, RemoteFolder):
            raise UserError(f"{path} lies at {self._root}, from where videos are not played. Its frames are.")
        file = self._root / path
        if fault := video_files.fault(file):
            raise UserError(f"{path} cannot be played: {fault[1]}.")
        resolved = file.resolve()
        if not resolved.is_relative_to(self._root.resolve()):
            raise UserError(f"{path} is a link that leads out of the corpus' root, from where nothing is played.")
        return resolved

    def span(self, video: int) -> str:
        """The fragment of an address that makes a browser play a segment alone; empty for a whole file."""
        segment = self._catalogue.spans.get(video)
        if segment is None:
            return ""
        return f"#t={segment.start:.15g}" + ("" if math.isinf(segment.end) else f",{segment.end:.15g}")

    def frames(self, video: int) -> int:
        """The number of frames of the strip of a video, at most `FRAMES`."""
        name = self._catalogue.videos[video].as_py()
        return min(FRAMES, self._store.frames(name)) if self._store and name in self._store else 0

    def frame(self, video: int, number: int) -> bytes:
        """The JPEG of one of the `frames` of a video, counted from 0.

        Raises:
            UserError: the video has no such frame, or its shard is damaged.
        """
        strip, name = self.frames(video), self._catalogue.videos[video].as_py()
        if self._store is None or not 0 <= number < strip:
            raise UserError(f"{name} has no frame {number}.")
        position = (2 * number + 1) * self._store.frames(name) // (2 * strip)
        return bytes(self._store.read(name, [position])[0])
