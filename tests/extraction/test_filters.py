"""What FFmpeg says of a stream is read, and decides on the filters."""

import math
import re

import pytest

from pipeline.extraction.filters import NAMES, Pixels, chain, pixels

SAID = {
    "h264 (High) (avc1 / 0x31637661), yuv420p(progressive), 160x120 [SAR 1:1 DAR 4:3], 30 fps": Pixels(
        "yuv420p", width=160, height=120
    ),
    "hevc (Main 10) (hvc1 / 0x31637668), yuv420p10le(tv, bt2020nc/bt2020/smpte2084, progressive), 320x180": Pixels(
        "yuv420p10le", limited=True, matrix="bt2020nc", primaries="bt2020", transfer="smpte2084", width=320, height=180
    ),
    "mpeg2video (Main), yuv420p(tv, smpte170m/bt470bg/bt709, top coded first (swapped)), 720x576 [SAR 16:15]": Pixels(
        "yuv420p", limited=True, matrix="smpte170m", primaries="bt470bg", transfer="bt709", width=720, height=576
    ),
    "h264 (High), yuv420p(tv, bt709, progressive), 1280x720": Pixels("yuv420p", limited=True, width=1280, height=720),
    "gif, bgra, 64x48, 10 fps, 10 tbr, 100 tbn": Pixels("bgra", width=64, height=48),
    "h264, none, 64x64": Pixels("none", width=64, height=64),
    "none": Pixels(),
    "": Pixels(),
}


@pytest.mark.parametrize("said", SAID)
def test_the_pictures_of_a_stream_are_read_from_ffmpegs_line(said: str):
    assert pixels(said) == SAID[said]


@pytest.mark.parametrize(
    ("said", "deinterlaced"),
    [
        ("h264, yuv420p(progressive), 1920x1080", True),  # its pictures may be marked one by one
        ("rawvideo, uyvy422(top first), 720x576", True),
        ("hevc, yuv420p10le(tv), 3840x2160", False),
        ("png, rgba(pc), 64x64", False),
        ("h264, yuv420p(tv), 2x64", False),  # too small for the filter
    ],
)
def test_only_pictures_that_can_be_interlaced_wait_for_their_neighbours(said: str, deinterlaced: bool):
    assert ("bwdif" in chain(said, fps=30, short_side=64)) == deinterlaced


def test_the_rate_is_made_last():
    assert chain("", fps=12, short_side=64).endswith(",fps=12")
    assert chain("", 12, 64, (0, 7)).endswith(",fps=12,trim=start_pts=0:end_pts=7")
    assert chain("", 12, 64, (3, math.inf)).endswith(",fps=12,trim=start_pts=3")


def test_the_names_are_those_of_all_filters():
    hdr = chain("hevc, yuv420p10le(tv, bt2020nc/bt2020/smpte2084), 64x48", 30, 320)
    gray, clear = chain("ffv1, gray(tv), 64x48", 30, 320, (7, 9)), chain("png, rgba, 64x48", 30, 320)
    used = {part.split("=")[0] for made in (hdr, gray, clear) for part in re.sub(r"'[^']*'", "", made).split(",")}
    assert used == set(NAMES)
