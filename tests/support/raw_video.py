"""Videos made of planes that a test computes, and what the extraction makes of them."""

import subprocess
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import simplejpeg

from pipeline.extraction.config import ExtractConfig
from pipeline.extraction.ffmpeg import extract_frames
from tests.support.corpus import FFMPEG

SIDE = 64


def encode(video: Path, pixel_format: str, pictures: Iterable[bytes], options: str, before: str = "") -> Path:
    """Write square pictures of 64 pixels, given as raw bytes, with FFmpeg's `options`; `before` says what they are."""
    raw = f"-f rawvideo -pix_fmt {pixel_format} -s {SIDE}x{SIDE} -r 30 {before} -i -"
    call = [FFMPEG, "-v", "error", "-y", *raw.split(), "-threads", "1", *options.split(), str(video)]
    subprocess.run(call, input=b"".join(pictures), check=True)
    return video


def description(video: Path) -> str:
    """What FFmpeg says of the video stream."""
    look = subprocess.run([FFMPEG, "-hide_banner", "-i", str(video)], capture_output=True, check=False)
    return next(line for line in look.stderr.decode().splitlines() if " Video: " in line)


def extracted(video: Path, short_side: int = SIDE) -> list[np.ndarray]:
    """The frames of a video, height x width x RGB."""
    folder = video.with_name(f"{video.name}-frames")
    folder.mkdir()
    config = ExtractConfig(fps=30, short_side=short_side, jpeg_qscale=2, timeout_seconds=60, shards=1)
    extract_frames(video, folder, config, FFMPEG)
    return [simplejpeg.decode_jpeg(file.read_bytes()) for file in sorted(folder.iterdir())]
