"""What comes of a video: frames, or a reason why there are none."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Extracted:
    """The outcome for a video that gave frames."""

    frames: int
    """Number of frames, at least 1."""
    promised: int
    """Number of frames that the video stream makes at the constant rate if all of it is there."""
    decoded: int
    """Number of pictures that FFmpeg decoded, before frames are repeated or dropped to reach the rate."""
    damaged: int
    """Number of pictures that did not decode, are marred, or lean on such pictures."""
    words: str
    """What is to be known of the frames, and FFmpeg's warnings and errors, on one line."""


class NoFrames(Exception):
    """A video gave no frames. The message says why, and ends with FFmpeg's words.

    Args:
        reason: that of broken.tsv.
        words: on one line; what helps comes first.
        again: whether another run may end otherwise, on another machine or with other limits.
    """

    def __init__(self, reason: str, words: str, again: bool = False) -> None:
        super().__init__(words)
        self.reason = reason
        self.again = again
