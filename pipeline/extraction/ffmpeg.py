"""FFmpeg: one video file -> JPEGs at a constant rate and a fixed short side.

Frames are repeated or dropped to reach the rate, rotation and pixel aspect are applied, a longer short side is scaled
down to the wanted length (a shorter one stays: pixels that scaling adds say nothing and take room), both sides are
even, and values have the full range of JPEG (0..255).
"""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import ffmpeg

from pipeline.core import params, video_files
from pipeline.core.errors import UserError
from pipeline.core.tsv import one_line

FORMAT = 2
"""Version of pixels and layout; raise it when the same settings give others, so that no old shard is used again."""

_LEVEL = re.compile(r"^(?:\[[^\]]*\] )*\[(warning|error|fatal|panic)\] (.*)", re.MULTILINE)
_DURATION = re.compile(r"Duration: (\d+):(\d\d):(\d\d(?:\.\d+)?)")
_VIDEO_STREAM = re.compile(r"Stream #0:\d+.*: Video: ")
_POINTER = re.compile(r" @ 0x[0-9a-f]+")
_WRITING = re.compile(r"\[error\] Error (?:submitting a packet to the muxer|muxing a packet)(?:: (.*))?")
_OURS = re.compile(r"deprecated pixel format|Codec AVOption threads")  # about our call, not about the video
_WINDING_UP = re.compile(r"Task finished|Terminating thread|Could not open encoder before|Nothing was written into")
_KEEP_WORDS = 400


@dataclass(frozen=True)
class ExtractConfig:
    """Section `extract` of params.yaml."""

    fps: int
    """Frames per second of the extracted frames; the report has 30."""
    short_side: int
    """Longest short side of the extracted frames in pixels, an even number; smaller videos keep theirs. The report has
    320."""
    jpeg_qscale: int
    """Quality of the JPEGs on FFmpeg's scale, 2 (best) .. 31 (smallest files)."""
    timeout_seconds: float
    """Seconds that FFmpeg may take for a video; one that takes longer counts as broken."""
    shards: int
    """Number of frame shards; aim at 1 to 8 GB each. Another number extracts and packs everything again."""

    def __post_init__(self) -> None:
        even = self.short_side >= 2 and self.short_side % 2 == 0
        params.require(
            (self.fps >= 1, f"fps must be at least 1, not {self.fps}"),
            (even, f"short_side must be an even number of pixels, not {self.short_side}"),
            (2 <= self.jpeg_qscale <= 31, f"jpeg_qscale must lie in 2 (best) .. 31, not {self.jpeg_qscale}"),
            (self.timeout_seconds > 0, f"timeout_seconds must be greater than 0, not {self.timeout_seconds}"),
            (self.shards >= 1, f"shards must be at least 1, not {self.shards}"),
        )


@dataclass(frozen=True)
class Extracted:
    """The outcome for a video that gave frames."""

    frames: int
    """Number of frames, at least 1."""
    promised: int
    """Number of frames that the duration in the container makes at the constant rate; 0 where it has no duration."""
    words: str
    """FFmpeg's warnings and errors, on one line."""


class NoFrames(Exception):
    """A video gave no frame: `reason` is that of broken.tsv, the message holds FFmpeg's messages."""

    def __init__(self, reason: str, words: str) -> None:
        super().__init__(words)
        self.reason = reason


def extract_frames(video: Path, folder: Path, config: ExtractConfig, binary: str) -> Extracted:
    """Write `video` as 000000.jpg, 000001.jpg, ... into `folder`, which must be empty.

    Raises:
        NoFrames: the file is missing, empty or no video, or decoding gave no frame, crashed or took too long.
        UserError: the frames cannot be written; the disk is full, say.
    """
    if fault := video_files.fault(video):
        raise NoFrames(*fault)
    try:
        done = subprocess.run(
            command(video.resolve(), config, binary),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=config.timeout_seconds,
            check=False,  # what its exit code means is judged by the frames that came
        )
    except subprocess.TimeoutExpired as error:
        raise NoFrames("timeout", f"no end after {config.timeout_seconds:g} s (extract.timeout_seconds)") from error
    said = done.stderr.decode("utf-8", "replace").replace(str(video.resolve()), video.name)
    unwritten = _WRITING.search(said)
    if unwritten:  # no fault of the video
        raise UserError(
            f"FFmpeg cannot write into {folder.resolve()} ({unwritten[1] or 'error'}). Free some space, or set "
            "machine.scratch in conf/config.yaml and `make params`; then `dvc repro` goes on where it was."
        )
    frames, words = sum(1 for _ in folder.glob("*.jpg")), _words(said)
    if done.returncode < 0:  # frames that came before are not all, and as many as chance would have it
        raise NoFrames("crashed", f"FFmpeg was ended by signal {-done.returncode}" + (f" | {words}" if words else ""))
    if frames == 0 and (fault := video_files.fault(video)):  # it went away meanwhile
        raise NoFrames(*fault)
    if frames == 0:
        raise NoFrames(_reason(said), words or f"FFmpeg ended with code {done.returncode} and no frame")
    return Extracted(frames, _promised_frames(said, config.fps), words)


def command(video: Path, config: ExtractConfig, binary: str) -> list[str]:
    """The call of FFmpeg, as a list of arguments; it writes into the current folder.

    The first real video stream is taken (`V`: cover pictures do not count).
    """
    half = f"max(1,min({config.short_side // 2},trunc(min(iw*sar,ih)/2)))"
    width = f"2*if(lt(iw*sar,ih),{half},round({half}*iw*sar/ih))"
    height = f"2*if(lt(iw*sar,ih),round({half}*ih/(iw*sar)),{half})"
    scale = f"scale=w='{width}':h='{height}':flags=bicubic:out_range=full"
    stream = (
        ffmpeg.input(f"file:{video}", threads=1)
        .output(
            "%06d.jpg",
            map="0:V:0",
            vf=f"fps={config.fps},{scale},setsar=1",
            format="image2",
            vcodec="mjpeg",
            pix_fmt="yuvj420p",
            start_number=0,
            fps_mode="passthrough",
            threads=1,
            **{"q:v": config.jpeg_qscale},
        )
        .global_args("-hide_banner", "-nostdin", "-nostats", "-loglevel", "level+info", "-filter_threads", "1")
    )
    arguments: list[str] = stream.compile(cmd=binary)
    return arguments


def _promised_frames(said: str, fps: int) -> int:
    found = _DURATION.search(said)
    if not found:
        return 0
    hours, minutes, seconds = found.groups()
    return round((int(hours) * 3600 + int(minutes) * 60 + float(seconds)) * fps)


def _words(said: str) -> str:
    """The distinct warnings and errors of FFmpeg on one line, the same in every run of a video.

    They are sorted, since FFmpeg's threads write in any order, and have no memory addresses.
    """
    lines = {_POINTER.sub("", text) for _, text in _LEVEL.findall(said)}
    kept = sorted(line for line in lines if not _OURS.search(line) and not _WINDING_UP.match(line))
    return one_line("\n".join(kept))[:_KEEP_WORDS]


def _reason(said: str) -> str:
    if "misdetection possible" in said:
        return "not_a_video"
    if "moov atom not found" in said:
        return "truncated"
    if "matches no streams" in said or ("Input #0" in said and not _VIDEO_STREAM.search(said)):
        return "no_video_stream"
    return "decode_failed" if "Input #0" in said else "not_a_video"
