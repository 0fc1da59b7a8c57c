"""FFmpeg: one video file -> its sound, mono and 16 kHz.

The first stream of sound is taken; several channels are mixed into one. A segment is cut on the clock of the file,
before the rate is changed, so that it has the same samples wherever FFmpeg began to read.
"""

import math
from pathlib import Path
from typing import BinaryIO

import numpy as np

from pipeline.clips.sound_store import RATE
from pipeline.core.segments import Segment
from pipeline.extraction import formats, tries
from pipeline.extraction.child import Ended, Limits, run
from pipeline.extraction.config import ExtractConfig
from pipeline.extraction.ffmpeg_log import FFmpegLog
from pipeline.extraction.outcome import NoFrames
from pipeline.extraction.probe import QUIET, Facts, Prober, read_facts, source
from pipeline.extraction.span import Span

FORMAT = 1
"""Version of samples and verdicts; raise it when the same settings give others, so that no old shard is used."""
FILE = "sound.pcm"
_MEGABYTE = 1_000_000
_ENDS_EARLY = ("partial file", "File ended prematurely", "invalid as first byte of an EBML number")


class NoSound(NoFrames):
    """A video gave no sound, for a reason of its own; that it has none is `no_audio`."""


def decode(video: Path, folder: Path, config: ExtractConfig, binary: str, segment: Segment | None = None) -> np.ndarray:
    """The sound of `video`, or of a segment of it: int16 (S,), at least one sample, of which `RATE` make a second.

    Args:
        folder: an empty folder for FFmpeg to write into.

    Raises:
        NoFrames: the video gives no sound, for a reason of its own. Silence is never put in its place.
        UserError: the sound cannot be written, or the machine keeps FFmpeg from its work, several times.
    """
    return tries.tried(video, folder, binary, lambda file: _decode(file, folder, config, binary, segment))


def _decode(
    file: BinaryIO, folder: Path, config: ExtractConfig, binary: str, segment: Segment | None
) -> np.ndarray:  # fmt: skip
    memory = config.most_memory * _MEGABYTE
    prober = Prober(binary, file, folder, Limits(config.timeout_seconds, memory, written=memory))
    seek = Span(config.fps, segment).sought(prober.facts()) if segment else None
    log, most = FFmpegLog(), config.most_frames / config.fps
    limits = Limits(config.timeout_seconds, memory, written=round(4 * RATE * most) + _MEGABYTE)
    facts: Facts | None = None

    def hear(said: bytes) -> None:
        nonlocal facts
        log.hear(said)
        if facts is None and log.mapped and (facts := read_facts(log)):
            limits.cpu_seconds += config.timeout_factor * min(facts.seconds, most)

    reading = [*(seek.reading() if seek else []), *source(file, f"{formats.VIDEO},{formats.SOUND}")]
    ended = run(command(reading, binary, config, segment), file, folder, limits, hear)
    tries.check(ended, log, folder)
    _refuse(ended, log, facts or read_facts(log), prober, config)
    sound = np.fromfile(folder / FILE, "<i2").astype(np.int16, copy=False)
    return _judged(sound, log, facts, config, segment)


def command(reading: list[str], binary: str, config: ExtractConfig, segment: Segment | None) -> list[str]:
    """The call of FFmpeg, as a list of arguments; it writes `FILE` into the folder that it runs in.

    It ends with an error of its own where a larger share than `most_damage` does not decode.
    """
    start, end = segment or Segment()
    until = min(end, start + config.most_frames / config.fps + 1)
    cut = f"atrim=start={start:.6f}:end={until:.6f},asetpts=PTS-STARTPTS"
    return [
        *(binary, *QUIET, "-loglevel", "level+info", "-max_error_rate", str(config.most_damage)),
        *("-filter_threads", "1", "-threads", "1", *reading, "-map", "0:a:0", "-af", cut),
        *("-ac", "1", "-ar", str(RATE), "-map_metadata", "-1", "-f", "s16le", FILE),
    ]


def _refuse(ended: Ended, log: FFmpegLog, facts: Facts | None, prober: Prober, config: ExtractConfig) -> None:
    """Tell why there is no sound, where FFmpeg did not end well.

    Raises:
        NoFrames: it did not.
    """
    if ended.over:
        reason, setting = (
            ("timeout", "timeout_seconds") if ended.over == "cpu_seconds" else ("too_large", "most_memory")
        )
        raise NoSound(reason, f"FFmpeg took too much {ended.over} (extract.{setting})", again=True)
    if ended.code < 0:
        raise NoSound("crashed", f"FFmpeg was ended by signal {-ended.code} | {log.words}", again=True)
    if facts and not any(held.startswith("Audio: ") for held in facts.held):
        raise NoSound("no_audio", f"no stream of sound, but {'; '.join(facts.held) or 'no stream at all'}")
    if not ended.code:
        return
    if not facts:
        prober.facts()  # raises what the file is
    if facts and facts.encrypted:
        raise NoSound("encrypted", f"the file is encrypted | {log.words}")
    raise NoSound("damaged", f"FFmpeg gave up (exit code {ended.code}; extract.most_damage is "
                  f"{config.most_damage:g}) | {log.words}")  # fmt: skip


def _judged(
    sound: np.ndarray, log: FFmpegLog, facts: Facts | None, config: ExtractConfig, segment: Segment | None
) -> np.ndarray:
    """The sound, if there is some, not much of it is missing, and it is not too long.

    Raises:
        NoSound: it is not so.
    """
    seconds, most = len(sound) / RATE, config.most_frames / config.fps
    if not len(sound) and segment and log.mapped:
        end = "" if math.isinf(segment.end) else f" to {segment.end:g}"
        raise NoSound("outside", f"no sound from {segment.start:g}{end} s")
    if not len(sound):
        raise NoSound("damaged", f"the file describes a sound, but holds none of it | {log.words}")
    doubtful = log.errors > 0 or any(map(log.says, _ENDS_EARLY))  # a sound may well be shorter than its pictures
    promised = facts.seconds if facts and not segment and doubtful else 0.0
    if seconds < (1 - config.most_damage) * min(promised, most):
        raise NoSound("partial", f"{seconds:.1f} of {promised:.1f} s of sound | {log.words}")
    if seconds > most and config.too_long == "refuse":
        raise NoSound("too_large", f"more than {most:g} s of sound (extract.most_frames at {config.fps} a second)")
    return sound[: round(most * RATE)]
