"""The span of a stream that is extracted: all of it, or the frames of a segment; and how FFmpeg comes to it quickly.

A segment's frames are those of decoding from the beginning. FFmpeg seeks to the key picture before it where a container
has an index, and what it then decodes is taken only where nothing speaks against it: it began in time, and neither the
file nor a picture was found wanting from there on. Else it decodes from the beginning, which is always right.
"""

import dataclasses
import math
from dataclasses import dataclass

from pipeline.core.segments import Segment
from pipeline.extraction import damage, filters
from pipeline.extraction.ffmpeg_log import FFmpegLog
from pipeline.extraction.outcome import NoFrames
from pipeline.extraction.probe import Facts, Stream

LEAD = 1.0
"""Seconds before a segment at which a decoder must have begun: a picture after a key picture may be shown before it."""
INDEXED = ("mov", "matroska")
"""Formats whose pictures bear the same times wherever one begins to read. MPEG's streams, say, may jump on the way."""
SLACK = 0.1
"""Seconds by which the last picture may end before the length that the container announces."""


@dataclass(frozen=True)
class Span:
    """The frames of a stream that are extracted, numbered on the clock of the file."""

    fps: int
    segment: Segment | None = None
    seek: float | None = None
    """Seconds to which FFmpeg seeks; None: it decodes from the beginning."""

    @property
    def first(self) -> int:
        """Number of the first frame."""
        return self.segment.frames(self.fps)[0] if self.segment else 0

    @property
    def beyond(self) -> float:
        """Number of the first frame after it, which may be infinite."""
        return self.segment.frames(self.fps)[1] if self.segment else math.inf

    @property
    def until(self) -> float:
        """Seconds at which nothing of it is shown any more: the time of its last frame rounds to it."""
        return (self.beyond - 0.5) / self.fps

    def check(self) -> None:
        """Refuse a segment between two frames.

        Raises:
            NoFrames: it holds none.
        """
        if self.segment and self.first >= self.beyond:
            length = self.segment.end - self.segment.start
            raise NoFrames("outside", f"{length:g} s of video, in which no frame falls at {self.fps} a second")

    def sought(self, facts: Facts) -> "Span | None":
        """The same span with a place to seek to; None where that is not worth it, or the format has no exact one."""
        if not self.segment or self.segment.start <= LEAD or facts.format.split(",")[0] not in INDEXED:
            return None
        return dataclasses.replace(self, seek=self.segment.start - LEAD)

    def reading(self) -> list[str]:
        """Arguments before FFmpeg's input. Times stay those of the clock of the file."""
        if self.seek is None:
            return []
        return ["-copyts", "-start_at_zero", "-noaccurate_seek", "-ss", f"{self.seek:.6f}"]

    def promised(self, begins: float, ends: float) -> int:
        """Number of its frames that the stream owes, which begins and ends at two times in seconds.

        A segment with an end owes all after the first picture, whether or not the stream lasts as long.
        """
        beyond = round(ends * self.fps) if math.isinf(self.beyond) else int(self.beyond)
        return max(0, beyond - max(self.first, round(begins * self.fps)))

    def outside(self, begins: float, ends: float) -> str:
        """What a message says of a segment that reaches out of the stream; empty where it does not."""
        if not self.segment:
            return ""
        if round(begins * self.fps) >= self.beyond:
            return f"the video begins at {begins:.2f} s"
        over = round(ends * self.fps) < (self.first + 1 if math.isinf(self.beyond) else self.beyond)
        return f"the video ends at {ends:.2f} s" if over else ""

    def shown(self, log: FFmpegLog) -> tuple[float, float]:
        """Between which times, in the log's units, pictures begin that the frames show."""
        if not self.segment:
            return -math.inf, math.inf
        times = [p.pts for p in log.pictures if p and p.pts is not None]
        ahead = [pts for pts in times if pts * log.time_base * self.fps < self.first + 0.5]
        return max(ahead, default=-math.inf), self.until / log.time_base


def trusted(log: FFmpegLog, frames: int, span: Span, stream: Stream, facts: Facts) -> bool:
    """Whether the frames after a seek are those of decoding from the beginning.

    Args:
        log: what FFmpeg said.
        frames: number of frames that it wrote.
        span: the span with its seek.
        stream: the stream.
        facts: on the file.
    """
    assert span.seek is not None
    began = sorted(p.pts * log.time_base for p in log.pictures if p and p.pts is not None)
    said = filters.pixels(stream.description)
    alike = log.inputs == {(said.width, said.height, said.format)}
    in_time = len(began) > 1 and began[1] * span.fps < span.first + 0.5  # two: the filters look at neighbours
    complete = frames == span.beyond - span.first
    at_end = bool(began) and 0 < facts.seconds <= damage.begins(log) + damage.seconds(log) + SLACK
    return alike and in_time and (complete or at_end) and log.clean_from(span.seek)
