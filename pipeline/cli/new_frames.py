"""The frames of new video files, for members that see."""

from collections.abc import Sequence
from typing import ClassVar

from pipeline.clips import jpeg, short_sides
from pipeline.clips.short_sides import Smaller
from pipeline.core.errors import UserError
from pipeline.layers.frame_input import Takes


class NewVideos:
    """Frames of videos that are in no store, as `dataset.decode_video` reads them.

    Args:
        smaller: sizes at which a FrameStore has the frames besides; here they are made when they are read.
        size: that of the frames which are read; None for the extracted ones.
        jpegs: video -> its extracted frames.
    """

    holds: ClassVar[Takes] = "frames"

    def __init__(
        self, smaller: Sequence[Smaller] = (), size: Smaller | None = None,
        jpegs: dict[str, list[memoryview]] | None = None,
    ) -> None:  # fmt: skip
        self.jpegs = {} if jpegs is None else jpegs
        self.size = size
        self.smaller = {each.side: NewVideos((), each, self.jpegs) for each in smaller}

    def at(self, side: int) -> "NewVideos":
        """The frames for who shows them at a short side of `side` pixels, as a FrameStore gives them."""
        chosen = short_sides.choose(self.smaller, side)
        return self if chosen is None else self.smaller[chosen]

    def frames(self, video: str) -> int:
        """The number of frames of a video."""
        return len(self.jpegs[video])

    def read(self, video: str, indices: Sequence[int]) -> list[memoryview]:
        """The JPEGs of some frames."""
        jpegs = [self.jpegs[video][index] for index in indices]
        if not self.size:
            return jpegs
        try:
            return [memoryview(jpeg.shrink(bytes(data), *self.size)) for data in jpegs]
        except ValueError as error:
            raise self.damaged(video, error) from error

    def damaged(self, video: str, why: object) -> UserError:
        """FFmpeg wrote a JPEG that does not decode."""
        return UserError(f"The frames of {video} do not decode ({why}). machine.ffmpeg may name another FFmpeg.")
