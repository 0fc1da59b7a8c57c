"""Whether what FFmpeg decoded is the video that the file promises."""

from collections.abc import Callable
from functools import cache

from pipeline.extraction import damage
from pipeline.extraction.config import ExtractConfig
from pipeline.extraction.ffmpeg_log import FFmpegLog
from pipeline.extraction.outcome import Extracted, NoFrames
from pipeline.extraction.probe import Depths, Facts, Stream
from pipeline.extraction.span import Span

SHORTFALL = 2
"""Number of frames that may be missing from what a stream promises without a note, since times are rounded."""
_ENDS_EARLY = ("partial file", "File ended prematurely", "invalid as first byte of an EBML number")
_HONEST_LENGTHS = ("matroska", "avi", "ogg")
"""Formats whose length is that of the video stream where they hold no other; MP4 has edit lists."""


def judge(
    log: FFmpegLog, frames: int, stream: Stream, facts: Facts, config: ExtractConfig, span: Span,
    examine: Callable[[], Depths],
) -> Extracted:  # fmt: skip
    """The outcome for a stream that was decoded to its end, or to that of a segment.

    Args:
        log: what FFmpeg said as it decoded.
        frames: number of frames that it wrote.
        span: those that were wanted. The verdict is on them alone.
        examine: a longer look at the file, which is only for those with damage, or of which frames are missing.

    Raises:
        NoFrames: there is no frame, or a larger share than `most_damage` is damaged or missing, or it is one picture.
    """
    examine = cache(examine)
    pictures, decoded, damaged = damage.count(log, *span.shown(log))
    seconds, doubtful = damage.seconds(log), damaged > 0 or not frames
    if span.seek is None:  # what was sought is sound, and does not begin with the stream
        seconds = max(seconds, _announced(log, stream, facts, doubtful, examine))
    begins = damage.begins(log)
    promised = span.promised(begins, begins + seconds) if span.segment else round(seconds * config.fps)
    promised = min(promised, config.most_frames)
    missing = max(0, promised - frames) / max(1, promised)
    share = damaged / max(1, pictures)
    outside = span.outside(begins, begins + seconds)
    found = _finding(frames, promised, damaged, pictures, outside)
    single = len(log.pictures) - log.pictures.count(None) == 1
    # a picture of ciphers may decode without a complaint, one in some hundred times
    if (doubtful or single or missing > config.most_damage) and (facts.encrypted or examine().encrypted):
        raise _refused("encrypted", f"the video is encrypted; {found}", log)
    if not frames:
        raise _refused(*_nothing(log, span, found, outside), log)
    if max(missing, share) > config.most_damage:
        reason = "partial" if missing > share else "damaged"
        raise _refused(reason, f"{found} (extract.most_damage is {config.most_damage:g})", log)
    if single:
        raise _refused("still", "a single picture, no video", log)
    noted = damaged or promised - frames > SHORTFALL
    said = log.words if noted or span.segment is None else ""
    words = " | ".join(part for part in (found if noted else "", said) if part)
    return Extracted(frames, promised, decoded, damaged, words)


def _announced(log: FFmpegLog, stream: Stream, facts: Facts, doubtful: bool, examine: Callable[[], Depths]) -> float:
    """Seconds that the file announces for the stream, 0 where they may be another's."""
    ends_early = any(log.says(words) for words in _ENDS_EARLY)
    alone = len(facts.held) == 1 and facts.format.split(",")[0] in _HONEST_LENGTHS
    length = facts.seconds if alone or ends_early else 0.0
    if not (doubtful or ends_early):
        return length
    return examine().seconds.get(stream.number, length)


def _nothing(log: FFmpegLog, span: Span, found: str, outside: str) -> tuple[str, str]:
    if not log.packets:
        return "partial", "the file describes a video, but holds none of it"
    if span.segment is None or not any(log.pictures):
        return "decode_failed", f"none of {len(log.packets)} packets decodes"
    return ("outside", f"no frame from {span.segment.start:g} s on, as {outside}") if outside else ("partial", found)


def _finding(frames: int, promised: int, damaged: int, pictures: int, outside: str) -> str:
    parts = []
    if damaged:
        parts.append(f"{damaged} of {pictures} pictures are damaged")
    if promised - frames > SHORTFALL or not damaged:
        parts.append(f"{frames} of {promised} promised frames")
    return ", ".join([*parts, outside] if outside else parts)


def _refused(reason: str, words: str, log: FFmpegLog) -> NoFrames:
    return NoFrames(reason, f"{words} | {log.words}".removesuffix(" | "))
