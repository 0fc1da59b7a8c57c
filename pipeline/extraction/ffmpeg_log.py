"""What FFmpeg says while it decodes: its warnings, and with -debug_ts each packet and each picture.

Warnings count only where FFmpeg's own prefix stands at the beginning of a line, and pictures only after it has said all
metadata, so no title or comment is taken for FFmpeg's words. All that a file could make FFmpeg say by other ways leads
to no more than its own refusal: faults of the machine are told from exit codes and signals.
"""

import math
import re
from typing import NamedTuple

from pipeline.core.tsv import one_line

INTRA, PREDICTED, BIDIRECTIONAL = 1, 2, 3
"""Kinds of pictures, as FFmpeg numbers them: one that leans on no other, on earlier ones, or on later ones as well."""
KEEP_WORDS = 400
_KEEP_LINES = 500

_PREFIX = re.compile(r"(?:\[[^\]]* @ 0x[0-9a-f]+\] )*\[(warning|error|fatal|panic)\] (.*)")
_POINTER = re.compile(r" @ 0x[0-9a-f]+")
_IDLE = re.compile(rb"\[[^\]]*\] (?:\[[^\]]*\] )?\[info\] (?:demuxer -> |demuxer\+tsfixup|filter|encoder|muxer)").match
"""Most of what -debug_ts says, which nobody asks for."""
_MAPPED = "[info] Stream mapping:"
_INPUT = re.compile(r"\[graph .*input from stream .*\[verbose\] w:(\d+) h:(\d+) pixfmt:(\w+)")
_FORMAT = re.compile(r"\[info\] Input #0, (.*), from ")
_PACKET = re.compile(r"demuxer\+ffmpeg -> \S+ type:video pkt_pts:(\S+) pkt_pts_time:(\S+) .* duration:(\d+) ")
_PICTURE = re.compile(r"decoder -> pts:(\S+) .* duration:(\d+) .* frame_type:(\d+) time_base:(\d+)/(\d+)")
_MARRED = ("corrupt decoded frame", "slice CRC mismatch", "LZW decode failed")
"""Said before a picture of which the decoder had to make up a part; the last two come without the first."""
_LEANS_ON_NOTHING = "Could not find ref with POC"
"""Said of a picture that leans on a lost one: the next, or one that is skipped where none has come yet (a cut GOP)."""
_OURS = re.compile(
    r"deprecated pixel format|Codec AVOption|Changing video frame properties|buffers queued in out_|filter context - w:"
)
_WINDING_UP = re.compile(
    r"Task finished|Terminating thread|Could not open encoder before|Nothing was written into|Error opening input"
    r"|Could not find codec parameters|Conversion failed|Cannot determine format of input|Output file is empty"
    r"|No filtered frames|Error submitting packet to decoder|Decoding error|corrupt decoded frame"
)


class Picture(NamedTuple):
    """A picture that was decoded."""

    pts: int | None
    """When it is shown, in units of the time base."""
    duration: int
    """How long, in units of the time base; 0 where nobody knows."""
    kind: int
    """INTRA, PREDICTED, BIDIRECTIONAL, or something else."""
    marred: bool
    """Whether the decoder had to make up a part of it."""


class FFmpegLog:
    """What one run of FFmpeg said, which `hear` collects line by line, in bounded memory but for its pictures.

    Args:
        until: seconds from which on pictures are not wanted. FFmpeg stops some time after; what its decoder says after
            it has shown such a picture, or its reader after it has read one, is left out: it would differ by chance.
    """

    def __init__(self, until: float = math.inf) -> None:
        self.information: list[str] = []
        """Lines of level info before the first packet: containers, streams, metadata."""
        self.packets: list[tuple[int | None, int]] = []
        """When a packet of the stream is shown and how long, in the order of decoding."""
        self.pictures: list[Picture | None] = []
        """The pictures in the order in which they are shown; None stands for a packet that does not decode."""
        self.time_base = 1.0
        """Seconds of a unit of time."""
        self.errors = 0
        """Number of errors of the container and of decoding the stream; those of probing are about any stream."""
        self.container_errors = 0
        """Number of those that the container has."""
        self.corrupt: list[int] = []
        """The packets of which the container says that they are damaged, by their places in `packets`."""
        self.inputs: set[tuple[int, int, str]] = set()
        """Width, height and format of the pictures for which filters were made, which FFmpeg says if it is verbose."""
        self.seconds = 0.0
        """Time from the first picture to the last one."""
        self._first: int | None = None
        self._words: dict[str, None] = {}
        self.mapped = False
        """Whether FFmpeg has said all that it knows of the file before it decodes."""
        self._marred = False
        self._errors_before: list[int] = []
        self._until = until
        self._read_all = self._shown_all = False
        self._reader = "[in#"

    def hear(self, said: bytes) -> None:
        """Take one line in."""
        if self.mapped and _IDLE(said):
            return
        line = said.decode("utf-8", "replace").rstrip()
        if not self.mapped:
            self.mapped = line.startswith(_MAPPED)
            if found := _FORMAT.match(line):
                self._reader = f"[{found[1]} @"
            if line.startswith("[info] ") and len(self.information) < _KEEP_LINES:
                self.information.append(line)
        else:
            self._count(line)
        if self._late(line):
            return
        if words := _PREFIX.match(line):
            if words[1] != "warning" or "bad header" in line:
                container = line.startswith("[in#")
                self.container_errors += container
                self.errors += container or self.mapped
            if len(self._words) < _KEEP_LINES:
                self._words[_POINTER.sub("", words[2])] = None

    def _count(self, line: str) -> None:
        """Count what a line tells, wherever in it: FFmpeg's threads may speak in the middle of each other's lines."""
        if packet := _PACKET.search(line):
            self.packets.append((_time(packet[1]), int(packet[3])))
            self._read_all = self._read_all or (packet[2] != "NOPTS" and float(packet[2]) >= self._until)
        if found := _PICTURE.search(line):
            self.time_base = int(found[4]) / int(found[5])
            self._picture(Picture(_time(found[1]), int(found[2]), int(found[3]), self._marred))
        elif self._late(line):
            return
        elif made := _INPUT.search(line):
            self.inputs.add((int(made[1]), int(made[2]), made[3]))
        elif any(text in line for text in _MARRED):
            self._marred = True
        elif _LEANS_ON_NOTHING in line:
            self._marred = self._marred or any(self.pictures)
        elif "Error submitting packet to decoder" in line or "Decoding error" in line:
            self._errors_before.append(self.errors)
            self.pictures.append(None)
        elif "corrupt input packet in stream" in line:
            self.corrupt.append(len(self.packets))

    def _late(self, line: str) -> bool:
        """Whether a line is about what is not wanted any more, as far as the thread that says it has come."""
        reader = line.startswith(("[in#", self._reader))
        return self._read_all if reader else self._shown_all

    def _picture(self, picture: Picture) -> None:
        self._errors_before.append(self.errors)
        self.pictures.append(picture)
        self._marred = False
        if picture.pts is not None:
            self._shown_all = self._shown_all or picture.pts * self.time_base >= self._until
            self._first = picture.pts if self._first is None else min(self._first, picture.pts)
            self.seconds = max(self.seconds, (picture.pts - self._first) * self.time_base)

    def clean_from(self, seconds: float) -> bool:
        """Whether neither the container, nor a picture from the first one at or after a time on, has damage."""
        for place, picture in enumerate(self.pictures):
            if picture and picture.pts is not None and picture.pts * self.time_base >= seconds:
                whole = all(later and not later.marred for later in self.pictures[place:])
                new = self.errors - self._errors_before[place]
                return whole and not new and not self.container_errors and not self.corrupt
        return False

    def says(self, words: str) -> bool:
        """Whether a warning or an error has these words."""
        return any(words in text for text in self._words)

    @property
    def words(self) -> str:
        """The distinct warnings and errors on one line, the same in every run of a video.

        They are sorted, since FFmpeg's threads write in any order, and have no memory addresses.
        """
        kept = sorted(text for text in self._words if not _OURS.search(text) and not _WINDING_UP.match(text))
        return one_line("\n".join(kept))[:KEEP_WORDS]


def _time(text: str) -> int | None:
    return None if text == "NOPTS" else int(text)
