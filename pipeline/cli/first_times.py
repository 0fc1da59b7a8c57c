"""When the first picture and the first sound of a file begin, on the clock of the file, as players show it."""

import re
from pathlib import Path
from typing import BinaryIO, NamedTuple

from pipeline.core.broken_videos import BrokenVideo
from pipeline.core.files import temporary_folder
from pipeline.core.machine import Machine, scratch_folder
from pipeline.core.tsv import one_line
from pipeline.extraction import formats, tries
from pipeline.extraction.child import Limits, run
from pipeline.extraction.config import ExtractConfig
from pipeline.extraction.ffmpeg_log import FFmpegLog
from pipeline.extraction.outcome import NoFrames
from pipeline.extraction.probe import QUIET, source

_BEGINS = re.compile(rb"n: *0 +pts: *\S+ +pts_time:(-?[\d.]+(?:e[-+]?\d+)?) [^\n]*?\bfmt:\S+ +(chan)?")
"""The first frame of a filter `showinfo` or, with channels, `ashowinfo`. The two run side by side, and one may write
into the middle of the other's line, without its name before it."""
_MEGABYTE = 1_000_000


class FirstTimes(NamedTuple):
    """Seconds; 0 where there is no such stream, or it does not say."""

    picture: float = 0.0
    sound: float = 0.0


def of(file: Path, config: ExtractConfig, machine: Machine) -> FirstTimes | BrokenVideo:
    """The times of a file, from the first picture and the first sound that decode; or why nobody knows them.

    Raises:
        UserError: the machine keeps FFmpeg from its work, several times.
    """
    binary, found = machine.ffmpeg_path(), {None: 0.0, b"chan": 0.0}

    def look(opened: BinaryIO) -> None:
        log, memory = FFmpegLog(), config.most_memory * _MEGABYTE

        def hear(said: bytes) -> None:
            log.hear(said)
            for one in _BEGINS.finditer(said):
                found[one[2]] = max(0.0, float(one[1]))

        reading = source(opened, f"{formats.VIDEO},{formats.SOUND}")
        looking = ["-map", "0:v:0?", "-map", "0:a:0?", "-vf", "showinfo=checksum=0", "-af", "ashowinfo"]
        ending = ["-frames:v", "1", "-frames:a", "1", "-f", "null", "-"]
        limits = Limits(config.timeout_seconds, memory, written=memory)
        quiet = [binary, *QUIET, "-loglevel", "level+info", "-max_error_rate", "1", "-threads", "1"]
        ended = run([*quiet, *reading, *looking, *ending], opened, folder, limits, hear)
        tries.check(ended, log, folder)
        if ended.over or ended.code:
            how = f"{ended.over or f'exit code {ended.code}'} | {log.words}"
            raise NoFrames("crashed", f"FFmpeg does not say when its picture and sound begin: {how}", again=True)

    with temporary_folder(scratch_folder(machine, "predict")) as folder:
        try:
            tries.tried(file, folder, binary, look)
        except NoFrames as none:
            return BrokenVideo(str(file), "", str(file), none.reason, one_line(str(none)))
    return FirstTimes(found[None], found[b"chan"])
