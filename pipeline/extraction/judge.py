"""Whether what FFmpeg decoded is the video that the file promises."""

from collections.abc import Callable

from pipeline.extraction import damage
from pipeline.extraction.config import ExtractConfig
from pipeline.extraction.ffmpeg_log import FFmpegLog
from pipeline.extraction.outcome import Extracted, NoFrames
from pipeline.extraction.probe import Depths, Facts

SHORTFALL = 2
"""Number of frames that may be missing from what a stream promises without a note, since times are rounded."""
_ENDS_EARLY = ("partial file", "File ended prematurely", "invalid as first byte of an EBML number")
_HONEST_LENGTHS = ("matroska", "avi", "ogg")
"""Formats whose length is that of the video stream where they hold no other; MP4 has edit lists."""


def judge(
    log: FFmpegLog, frames: int, number: int, facts: Facts, config: ExtractConfig, examine: Callable[[], Depths]
) -> Extracted:
    """The outcome for a stream that was decoded to its end.

    Args:
        log: what FFmpeg said as it decoded.
        frames: number of frames that it wrote.
        number: of the stream.
        examine: a longer look at the file, which is only for those with damage.

    Raises:
        NoFrames: there is no frame, or a larger share than `most_damage` is damaged or missing, or it is one picture.
    """
    pictures, decoded, damaged = damage.count(log)
    ends_early = any(log.says(words) for words in _ENDS_EARLY)
    alone = len(facts.held) == 1 and facts.format.split(",")[0] in _HONEST_LENGTHS
    lengths = [damage.seconds(log), facts.seconds if alone or ends_early else 0.0]
    encrypted = facts.encrypted
    if damaged or ends_early or not frames:
        depths = examine()
        encrypted = encrypted or depths.encrypted
        if number in depths.seconds:
            lengths[1] = depths.seconds[number]
    promised = min(round(max(lengths) * config.fps), config.most_frames)
    missing = max(0, promised - frames) / max(1, promised)
    share = damaged / max(1, pictures)
    found = _finding(frames, promised, damaged, pictures)
    if encrypted and (damaged or not frames):
        raise _refused("encrypted", f"the video is encrypted; {found}", log)
    if not frames:
        raise _refused(*_nothing(log), log)
    if max(missing, share) > config.most_damage:
        reason = "partial" if missing > share else "damaged"
        raise _refused(reason, f"{found} (extract.most_damage is {config.most_damage:g})", log)
    if decoded == 1:
        raise _refused("still", "a single picture, no video", log)
    short = promised - frames > SHORTFALL
    words = " | ".join(part for part in (found if damaged or short else "", log.words) if part)
    return Extracted(frames, promised, decoded, damaged, words)


def _nothing(log: FFmpegLog) -> tuple[str, str]:
    if not log.packets:
        return "partial", "the file describes a video, but holds none of it"
    return "decode_failed", f"none of {len(log.packets)} packets decodes"


def _finding(frames: int, promised: int, damaged: int, pictures: int) -> str:
    parts = []
    if damaged:
        parts.append(f"{damaged} of {pictures} pictures are damaged")
    if promised - frames > SHORTFALL or not damaged:
        parts.append(f"{frames} of {promised} promised frames")
    return ", ".join(parts)


def _refused(reason: str, words: str, log: FFmpegLog) -> NoFrames:
    return NoFrames(reason, f"{words} | {log.words}".removesuffix(" | "))
