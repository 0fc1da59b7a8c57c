"""What a file is, as FFmpeg says before it decodes: its container and its video streams.

FFmpeg gets an open file and no name: it can open no other one, and no name means anything to it. A container that is a
list of other files (a playlist, a manifest, a pattern of pictures) is refused by the format that was found.
"""

import dataclasses
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pipeline.core.tsv import one_line
from pipeline.extraction import formats
from pipeline.extraction.child import Ended, Limits, run
from pipeline.extraction.ffmpeg_log import KEEP_WORDS, FFmpegLog
from pipeline.extraction.outcome import NoFrames

_HEADER = 8
"""Bytes before the content of an MP4 box: FFmpeg says where the content begins."""
QUIET = ("-hide_banner", "-nostdin", "-nostats")

_INPUT = re.compile(r"\[info\] Input #0, (.*), from 'fd:':$")
_DURATION = re.compile(r"\[info\]   Duration: (\d+):(\d\d):(\d\d(?:\.\d+)?)(?:, start: (-?[\d.]+))?")
_STREAM = re.compile(r"\[info\]   Stream #0:(\d+)(?:\[0x[0-9a-f]+\])?(?:\([^)]*\))?: (\w+): (.*)")
_SIZE = re.compile(r", (\d+)x(\d+)\b")
_ASPECT = re.compile(r"\bSAR (\d+):(\d+)")
_TURNED = re.compile(r"\[info\]       Display Matrix: ")
_KEY_ID = re.compile(r"\[info\]       enc_key_id\s+: ")
_NOT_SHOWN = re.compile(r"\((?:attached pic|timed thumbnails|still image)\)")
_PROBED = re.compile(r"(?:\[[^\]]*\] )?\[debug\] Format (\S+) probed with size=\d+ and score=(\d+)")
_OWN_LENGTH = re.compile(r"\[in#0/.* \[trace\] stream (\d+): start_time: \S+ duration: ([0-9.]+)$")
_INDEX = re.compile(r"\[in#0 .* \[trace\] type:'moov' parent:'root' sz: (\d+) (\d+) (\d+)")
_ENCRYPTED = re.compile(r"\[in#0 .* \[trace\] size=\d+ 4CC=(?:encv|drmi) ")


@dataclass(frozen=True)
class Stream:
    """A video stream, as its container describes it."""

    number: int
    codec: str
    description: str
    """All that FFmpeg says of it: pixel format, colours, size, rate."""
    width: int
    height: int
    """Pixels as they are coded; 0 where FFmpeg does not know."""
    aspect: float
    """Width of a pixel over its height."""
    default: bool
    """Whether the file marks it as the one to be shown."""
    turned: bool = False
    """Whether it is to be shown turned or mirrored."""


@dataclass(frozen=True)
class Facts:
    """What a file holds."""

    format: str
    """FFmpeg's name of the container, e.g. ``mov,mp4,m4a,3gp,3g2,mj2``."""
    seconds: float
    """Length that the container announces for its longest stream; 0 where it announces none or FFmpeg guesses."""
    streams: tuple[Stream, ...]
    """Video streams but for covers and thumbnails, the one to take first."""
    held: tuple[str, ...]
    """A word for each stream of the file, e.g. ``Audio: aac``."""
    encrypted: bool
    """Whether a stream is said to be encrypted. In MP4, that is only seen by a longer look."""


@dataclass(frozen=True)
class Depths:
    """What a longer look finds, which costs too much for files that decode well."""

    seconds: dict[int, float]
    """Stream -> its own length, where the container knows it."""
    encrypted: bool
    index_cut: bool = False
    """Whether the file ends within its index (MP4's moov)."""


class Prober:
    """FFmpeg as it looks at one open file.

    Args:
        binary: path of FFmpeg.
        video: the open file.
        folder: an empty folder for FFmpeg to run in.
        limits: of one look.
    """

    def __init__(self, binary: str, video: BinaryIO, folder: Path, limits: Limits) -> None:
        self._binary, self._video, self._folder, self._limits = binary, video, folder, limits

    def facts(self) -> Facts:
        """What the file holds.

        Raises:
            NoFrames: it is no video, refers to other files, or has no video stream.
            MachineFault: FFmpeg came to no verdict.
        """
        log = FFmpegLog()
        ended = self._look("info", log.hear)
        if ended.over:
            reason = "timeout" if ended.over == "cpu_seconds" else "too_large"
            raise NoFrames(reason, f"FFmpeg took too much {ended.over} as it looked at the file", again=True)
        if ended.code < 0:
            raise NoFrames("crashed", f"FFmpeg was ended by signal {-ended.code} as it looked at the file", again=True)
        facts = read_facts(log)
        if not facts or not facts.streams:
            raise self._no_video(log, facts.held if facts else None)
        return facts

    def examine(self) -> Depths:
        """What a damaged file says of its streams' own lengths, of encryption and of its index."""
        seconds: dict[int, float] = {}
        encrypted: list[str] = []
        cut: list[str] = []

        def hear(said: bytes) -> None:
            line = said.decode("utf-8", "replace").rstrip()
            if own := _OWN_LENGTH.match(line):
                seconds[int(own[1])] = float(own[2])
            elif not encrypted and _ENCRYPTED.match(line):
                encrypted.append(line)
            elif (index := _INDEX.match(line)) and int(index[2]) - _HEADER + int(index[1]) > int(index[3]):
                cut.append(line)

        self._look("trace", hear)
        return Depths(seconds, bool(encrypted), bool(cut))

    def _look(self, level: str, hear: Callable[[bytes], None]) -> Ended:
        allowed = f"{formats.VIDEO},{formats.SOUND}"
        look = [self._binary, *QUIET, "-loglevel", f"level+{level}", *source(self._video, allowed)]
        return run(look, self._video, self._folder, self._limits, hear)

    def _no_video(self, log: FFmpegLog, held: Sequence[str] | None) -> NoFrames:
        """Why there is no video; `held` are the streams of a file that FFmpeg can open."""
        said = one_line(log.words)[:KEEP_WORDS] if held is None else ""  # else that there is nothing to write
        if log.says("Not detecting m3u8/hls"):
            return NoFrames("refers_elsewhere", "a list of other files (hls), no video")
        if log.says("Format not on whitelist"):
            return self._unwanted()
        if log.says("moov atom not found"):
            return NoFrames("truncated", f"the file ends, or is damaged, before its index | {said}")
        if log.says("Input/output error"):
            return NoFrames("unreadable", "the file cannot be read (Input/output error)", again=True)
        if self.examine().index_cut:
            return NoFrames("truncated", f"the file ends within its index | {said}".removesuffix(" | "))
        if held is not None:
            return NoFrames("no_video_stream", f"no video stream, but {'; '.join(held) or 'no stream at all'}")
        return NoFrames("not_a_video", f"FFmpeg finds no video in the file | {said}".removesuffix(" | "))

    def _unwanted(self) -> NoFrames:
        """Why the format that was found is not read."""
        scores: dict[str, int] = {}

        def hear(said: bytes) -> None:
            line = said.decode("utf-8", "replace")
            if probed := _PROBED.match(line):
                scores[probed[1]] = int(probed[2])

        self._look("debug", hear)
        name = max(scores, key=lambda form: scores[form], default="unknown")
        if name in formats.REFERRING.split(","):
            return NoFrames("refers_elsewhere", f"a list of other files ({name}), no video")
        if name.endswith("_pipe"):
            return NoFrames("still", f"a picture ({name.removesuffix('_pipe')}), no video")
        return NoFrames("not_a_video", f"a file of the format {name}")


def read_facts(log: FFmpegLog) -> Facts | None:
    """What FFmpeg has said of a file, in which there may be no video stream; None where it cannot open the file."""
    found = next((m for m in map(_INPUT.match, log.information) if m), None)
    if not found:
        return None
    streams, held = _streams(log.information)
    return Facts(
        format=found[1],
        seconds=0.0 if log.says("Estimating duration from bitrate") else _length(log.information),
        streams=tuple(sorted(streams, key=_rank)),
        held=tuple(held),
        encrypted=any(_KEY_ID.match(line) for line in log.information) or log.says("DRM protected stream"),
    )


def source(video: BinaryIO, allowed: str) -> list[str]:
    """Arguments that make FFmpeg read an open file that it inherits, if in one of the allowed formats, and no other."""
    return [
        "-protocol_whitelist",
        "fd",
        "-format_whitelist",
        allowed,
        "-fd",
        str(video.fileno()),
        "-i",
        "fd:",
    ]


def _length(information: Sequence[str]) -> float:
    """Seconds that the container announces, without those before the first picture, which some count in."""
    found = next((m for m in map(_DURATION.match, information) if m), None)
    if not found:
        return 0.0
    seconds, start = int(found[1]) * 3600 + int(found[2]) * 60 + float(found[3]), float(found[4] or 0)
    return seconds - start if 0 < start < seconds else seconds


def _streams(information: Sequence[str]) -> tuple[list[Stream], list[str]]:
    """The video streams but for covers and thumbnails, and a word for each stream of the file."""
    streams: list[Stream] = []
    held = []
    shown = False
    for line in information:
        if row := _STREAM.match(line):
            held.append(f"{row[2]}: {row[3].split(',')[0]}")
            shown = row[2] == "Video" and not _NOT_SHOWN.search(row[3])
            if shown:
                streams.append(_stream(int(row[1]), row[3]))
        elif shown and _TURNED.match(line):
            streams[-1] = dataclasses.replace(streams[-1], turned=True)
    return streams, held


def _stream(number: int, text: str) -> Stream:
    size = _SIZE.search(text)
    aspects = [(int(w), int(h)) for w, h in _ASPECT.findall(text) if int(w) and int(h)]
    width, height = aspects[-1] if aspects else (1, 1)  # the last is that of the container, which overrules
    return Stream(
        number=number,
        codec=text.split(maxsplit=1)[0].rstrip(","),
        description=text,
        width=int(size[1]) if size else 0,
        height=int(size[2]) if size else 0,
        aspect=width / height,
        default="(default)" in text,
    )


def _rank(stream: Stream) -> tuple[bool, bool, int, int]:
    return (
        stream.codec in formats.STILL_CODECS.split(","),
        not stream.default,
        -stream.width * stream.height,
        stream.number,
    )
