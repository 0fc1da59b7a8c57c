"""FFmpeg: one video file -> JPEGs at a constant rate and a fixed short side.

Frames are repeated or dropped to reach the rate, rotation and pixel aspect are applied, a longer short side is scaled
down to the wanted length (a shorter one stays: pixels that scaling adds say nothing and take room), and both sides are
even. The rules for colours stand in filters.py.
"""

import os
from pathlib import Path
from typing import BinaryIO

from pipeline.core.segments import Segment
from pipeline.extraction import filters, formats, tries
from pipeline.extraction.child import Ended, Limits, run
from pipeline.extraction.config import ExtractConfig
from pipeline.extraction.ffmpeg_log import FFmpegLog
from pipeline.extraction.judge import judge
from pipeline.extraction.outcome import Extracted, NoFrames
from pipeline.extraction.probe import QUIET, Facts, Prober, Stream, read_facts, source
from pipeline.extraction.span import Span, trusted

FORMAT = 4
"""Version of pixels, verdicts and layout; raise it when the same settings give others, so that no old shard is used."""
MOST_ASPECT = 16
"""Largest ratio of the sides of a picture as it is shown; beyond, the file is wrong about the shape of its pixels."""
PLAIN = Stream(number=-1, codec="", description="any, yuv420p, 64x64", width=64, height=64, aspect=1, default=True)
"""The only video stream of a file, upright, of pictures that go through the same filters as most."""

_MEGABYTE = 1_000_000


def extract_frames(
    video: Path, folder: Path, config: ExtractConfig, binary: str, segment: Segment | None = None
) -> Extracted:
    """Write `video`, or a segment of it, as 000000.jpg, 000001.jpg, ... into `folder`, which must be empty.

    Raises:
        NoFrames: the video gives no frames, for a reason of its own.
        UserError: the frames cannot be written, or the machine keeps FFmpeg from its work, several times.
    """
    span = Span(config.fps, segment)
    span.check()
    return tries.tried(video, folder, binary, lambda file: _extract(file, folder, config, binary, span))


def _extract(file: BinaryIO, folder: Path, config: ExtractConfig, binary: str, span: Span) -> Extracted:
    """One try, with the first stream that is more than a picture."""
    memory = config.most_memory * _MEGABYTE
    prober = Prober(
        binary, file, folder, Limits(config.timeout_seconds, memory, written=config.most_megabytes * _MEGABYTE)
    )
    if not span.segment:
        try:
            return _at_once(file, folder, config, binary, span, prober)
        except _NotPlain:
            tries.empty(folder)
    facts = prober.facts()
    for stream in facts.streams:
        _check_size(stream, config)
        try:
            return _decode(file, folder, stream, facts, config, binary, span, prober)
        except NoFrames as refused:
            if refused.reason != "still" or stream is facts.streams[-1]:
                raise
            tries.empty(folder)
    raise AssertionError


class _NotPlain(Exception):
    """The file is not what was taken for granted, or FFmpeg did not come to say what it is."""


def _at_once(file: BinaryIO, folder: Path, config: ExtractConfig, binary: str, span: Span, prober: Prober) -> Extracted:
    """The frames of a file that is plain, as FFmpeg says before the first picture.

    A run that only looks at the file would cost a twentieth of a short video's decoding.
    """
    log, ended, jpegs, facts = _run(file, folder, PLAIN, None, config, binary, span)
    return _outcome(log, ended, jpegs, facts.streams[0], facts, config, span, prober)


def _plain(log: FFmpegLog, config: ExtractConfig) -> Facts:
    """What FFmpeg has said of a file.

    Raises:
        _NotPlain: its stream is not `PLAIN`.
        NoFrames: its pictures are too large, or of no shape.
    """
    facts = read_facts(log)
    if not facts or len(facts.streams) != 1 or sum(word.startswith("Video: ") for word in facts.held) != 1:
        raise _NotPlain
    (stream,) = facts.streams
    chains = {filters.chain(each.description, config.fps, config.short_side) for each in (stream, PLAIN)}
    if stream.turned or len(chains) > 1:
        raise _NotPlain
    _check_size(stream, config)
    return facts


def _decode(
    file: BinaryIO, folder: Path, stream: Stream, facts: Facts, config: ExtractConfig, binary: str, span: Span,
    prober: Prober,
) -> Extracted:  # fmt: skip
    """The frames of a stream: of a segment where FFmpeg seeks if that may be trusted, else from the beginning."""
    if sought := span.sought(facts):
        log, ended, jpegs, _ = _run(file, folder, stream, facts, config, binary, sought)
        if not ended.code and trusted(log, len(jpegs), sought, stream, facts):
            return _outcome(log, ended, jpegs, stream, facts, config, sought, prober)
        tries.empty(folder)
    log, ended, jpegs, _ = _run(file, folder, stream, facts, config, binary, span)
    return _outcome(log, ended, jpegs, stream, facts, config, span, prober)


def _run(
    file: BinaryIO, folder: Path, stream: Stream, facts: Facts | None, config: ExtractConfig, binary: str, span: Span
) -> tuple[FFmpegLog, Ended, list[Path], Facts]:
    """One run of FFmpeg within the limits: what it said, how it ended, the frames that it wrote, in order, and `facts`.

    Without `facts`, what it says before the first picture must be that of a plain file.
    """
    log, most = FFmpegLog(span.until), config.most_frames
    memory, written = config.most_memory * _MEGABYTE, round(1.1 * config.most_megabytes * _MEGABYTE)
    limits = Limits(_seconds(facts, config, span), memory, written)

    def hear(said: bytes) -> None:
        nonlocal facts
        log.hear(said)
        if facts is None and log.mapped:
            facts = _plain(log, config)
            limits.cpu_seconds = _seconds(facts, config, span)
        if span.segment is None and log.seconds * config.fps > most and config.too_long == "refuse":
            raise _too_long(config)  # seen before a gap is filled with frames

    ended = run(command(file, stream, config, binary, span), file, folder, limits, hear)
    if facts is None:
        raise _NotPlain
    tries.check(ended, log, folder)
    if ended.over:
        raise _over(ended.over, limits, config)
    if ended.code < 0:  # frames that came before are not all, and as many as chance would have it
        raise _crashed(f"FFmpeg was ended by signal {-ended.code}", log)
    with os.scandir(folder) as listed:
        sizes = {entry.name: entry.stat().st_size for entry in listed if entry.name.endswith(".jpg")}
    if sum(sizes.values()) > config.most_megabytes * _MEGABYTE:
        raise _over("written", limits, config)
    return log, ended, [folder / name for name in sorted(sizes)], facts


def _seconds(facts: Facts | None, config: ExtractConfig, span: Span) -> float:
    """Seconds of CPU time that FFmpeg may take for a file; without `facts`, until it has said what is in it."""
    most = span.until if span.segment else config.most_frames / config.fps
    return config.timeout_seconds + config.timeout_factor * (min(facts.seconds, most) if facts else 0)


def _outcome(
    log: FFmpegLog, ended: Ended, jpegs: list[Path], stream: Stream, facts: Facts, config: ExtractConfig, span: Span,
    prober: Prober,
) -> Extracted:  # fmt: skip
    """The verdict on a run, and no more frames than are allowed."""
    most = config.most_frames
    if len(jpegs) > most and config.too_long == "refuse":
        raise _too_long(config)
    for late in jpegs[most:]:
        late.unlink()
    outcome = judge(log, min(len(jpegs), most), stream, facts, config, span, prober.examine)
    if ended.code:
        raise _crashed(f"FFmpeg gave up after {len(jpegs)} frames (exit code {ended.code})", log)
    if len(jpegs) <= most:
        return outcome
    cut = f"cut after {most} frames (extract.most_frames)"
    return Extracted(most, most, outcome.decoded, outcome.damaged, f"{cut} | {outcome.words}".removesuffix(" | "))


def _too_long(config: ExtractConfig) -> NoFrames:
    return NoFrames("too_large", f"more than {config.most_frames} frames (extract.most_frames)")


def command(file: BinaryIO, stream: Stream, config: ExtractConfig, binary: str, span: Span) -> list[str]:
    """The call of FFmpeg, as a list of arguments; it writes into the folder that it runs in.

    It says each packet and each picture (-debug_ts), and goes on however many of them do not decode. Pictures that
    change midway go through the same filters, but for those that turn pictures, which must be made anew.
    """
    made_anew = ["-reinit_filter", str(int(stream.turned))]
    reading = ["-max_error_rate", "1", "-threads", "1", *made_anew, *span.reading(), *source(file, formats.VIDEO)]
    wanted = (span.first, span.beyond) if span.segment else None
    level = "info" if span.seek is None else "verbose"  # which says what the filters get
    writing = [
        "-f",
        "image2",
        "-vcodec",
        "mjpeg",
        "-pix_fmt",
        "yuvj420p",
        "-q:v",
        str(config.jpeg_qscale),
        "-threads",
        "1",
    ]
    return [
        *(binary, *QUIET, "-loglevel", f"level+{level}", "-debug_ts", "-filter_threads", "1", *reading),
        *("-map", "0:v:0" if stream is PLAIN else f"0:{stream.number}"),
        *("-fps_mode", "vfr"),  # drops a frame that filters made anew give once more
        *("-vf", filters.chain(stream.description, config.fps, config.short_side, wanted)),
        *("-map_metadata", "-1", "-map_chapters", "-1"),
        *("-frames:v", str(config.most_frames + 1), *writing, "-start_number", "0", "%06d.jpg"),
    ]


def _check_size(stream: Stream, config: ExtractConfig) -> None:
    if stream.width * stream.height > config.most_pixels:
        raise NoFrames("too_large", f"pictures of {stream.width}x{stream.height} pixels (extract.most_pixels)")
    if not stream.width or not stream.height:
        return
    shown = stream.width * stream.aspect / stream.height
    if max(shown, 1 / shown) > MOST_ASPECT:
        size = f"{stream.width * stream.aspect:.0f}x{stream.height}"
        raise NoFrames("too_large", f"pictures that are to be shown as {size}, which is no shape of a video")


def _over(limit: str, limits: Limits, config: ExtractConfig) -> NoFrames:
    """The reason of a video that was given up at a limit."""
    if limit == "cpu_seconds":
        return NoFrames(
            "timeout", f"no end after {limits.cpu_seconds:g} s of CPU time (extract.timeout_seconds)", again=True
        )
    if limit == "memory":
        return NoFrames("too_large", f"more than {config.most_memory} MB of memory (extract.most_memory)", again=True)
    return NoFrames("too_large", f"more than {config.most_megabytes} MB of frames (extract.most_megabytes)")


def _crashed(how: str, log: FFmpegLog) -> NoFrames:
    return NoFrames("crashed", f"{how} | {log.words}".removesuffix(" | "), again=True)
