"""FFmpeg's filters between a video's pictures and the JPEGs: colours, interlacing, size, rate.

A JPEG means BT.601, full range, and is shown as sRGB. The rules:

* Matrix and range are converted from what the file says. One that says nothing is read as FFmpeg, OpenCV, PyAV, decord
  and torchcodec read it, and as the first two write it: BT.601, limited range, whatever its height.
* HDR (PQ, HLG) becomes what an SDR display shows: the light of a display, of which 203 cd/m2 are white (BT.2408), with
  the primaries of BT.709; highlights up to 1000 cd/m2 are rolled off by the Moebius curve, which leaves what is below
  0.3 as it is; then the inverse of BT.1886, a gamma of 2.4. HLG is seen on a display of 1000 cd/m2, with a system
  gamma of 1.2.
* The primaries of BT.2020 and P3 are brought to BT.709, and what lies outside is clipped. Those of older standards,
  which differ little, are left as they are.
* Transparent pictures are laid over white.
* Pictures that are marked as interlaced are deinterlaced, one frame for two fields.
"""

import math
import re
from dataclasses import dataclass

NAMES = (
    "bwdif",
    "format",
    "fps",
    "lut",
    "negate",
    "premultiply",
    "scale",
    "setparams",
    "setsar",
    "tonemap",
    "trim",
    "zscale",
)
"""FFmpeg's filters that a chain may have; some builds leave the last one out."""
WHITE, HIGHLIGHT = 203, 1000
"""Luminance in cd/m2 of a white page in HDR, and of the brightest light that is told from brighter ones."""
SMALLEST_INTERLACED, TALLEST_INTERLACED = 16, 1088
"""Shortest side and lines of a picture that may be interlaced: no standard has more lines, so that large pictures need
not wait in memory for their neighbours, and the filter takes no tiny one."""

_PIXELS = re.compile(r", (\w+)(?:\((.*?)\))?, (\d+)x(\d+)")
_COLOURS = re.compile(r"([\w-]+)/([\w-]+)/([\w-]+)")
_ALPHA = re.compile(r"yuva|rgba|bgra|argb|abgr|gbrap|ya\d|ayuv|vuya|pal8")
_HDR = ("smpte2084", "arib-std-b67")
_WIDE = ("bt2020", "smpte431", "smpte432")
_OVER_WHITE = ("format=gbrap", "negate", "premultiply=inplace=1", "negate")


@dataclass(frozen=True)
class Pixels:
    """What FFmpeg says of a stream's pictures."""

    format: str = "none"
    """FFmpeg's name, e.g. ``yuv420p10le``."""
    limited: bool = False
    """Whether the stream says that its values have the limited range."""
    matrix: str = "unknown"
    primaries: str = "unknown"
    transfer: str = "unknown"
    width: int = 0
    height: int = 0

    @property
    def may_be_interlaced(self) -> bool:
        """Whether some of the pictures may hold two fields, which a stream can say of each."""
        coded_so = self.format.startswith(("yuv", "nv", "uyvy", "yuyv"))
        return coded_so and min(self.width, self.height) >= SMALLEST_INTERLACED and self.height <= TALLEST_INTERLACED


def pixels(description: str) -> Pixels:
    """The pictures of a stream, from FFmpeg's line on it.

    Args:
        description: what follows ``Video: ``, e.g. ``hevc (Main 10), yuv420p10le(tv, bt709), 64x64``.
    """
    found = _PIXELS.search(description)
    if not found:
        return Pixels()
    says = found[2] or ""
    colours = _COLOURS.search(says)
    matrix, primaries, transfer = colours.groups() if colours else ("unknown",) * 3
    return Pixels(found[1], "tv" in says.split(", "), matrix, primaries, transfer, int(found[3]), int(found[4]))


def chain(description: str, fps: int, short_side: int, frames: tuple[int, float] | None = None) -> str:
    """The filters of a stream's JPEGs: `fps` a second, a short side of at most `short_side` pixels, both sides even.

    The first `scale` does nothing until pictures change their size or format midway: it makes them like the first,
    since no other filter takes a change. `fps` comes last: it holds pictures back, and small ones take little room.

    Args:
        description: FFmpeg's line on the stream, after ``Video: ``.
        fps: frames a second.
        short_side: largest short side in pixels.
        frames: numbers of the first frame and of the one after the last, which may be infinite, on the clock of the
            file; None: all.
    """
    said = pixels(description)
    filters = ["scale"]
    if said.may_be_interlaced:
        filters += ["bwdif=mode=send_frame:deint=interlaced"]
    if _ALPHA.match(said.format):
        filters += _OVER_WHITE
    if said.format.startswith("gray") and said.limited:  # `scale` takes all gray pictures for full range
        filters += ["format=gray", "lut=c0='clip((val-16)*255/219,0,255)'", "setparams=range=pc"]
    if said.transfer in _HDR or said.primaries in _WIDE:
        filters += [f"{_size(short_side)}:{_to_bt2020(said)}", "format=yuv444p12le", *_to_bt709(said)]
    else:
        filters += [f"{_size(short_side)}:out_color_matrix=bt601:out_range=full"]
    filters += ["setsar=1", f"fps={fps}"]
    if frames:
        filters += [f"trim=start_pts={frames[0]}" + (f":end_pts={frames[1]}" if math.isfinite(frames[1]) else "")]
    return ",".join(filters)


def _size(short_side: int) -> str:
    half = f"max(1,min({short_side // 2},trunc(min(iw*sar,ih)/2)))"
    width = f"2*if(lt(iw*sar,ih),{half},round({half}*iw*sar/ih))"
    height = f"2*if(lt(iw*sar,ih),round({half}*ih/(iw*sar)),{half})"
    return f"scale=w='{width}':h='{height}':flags=bicubic+accurate_rnd"


def _to_bt2020(said: Pixels) -> str:
    """Options of `scale` that give the matrix of BT.2020 and the limited range, whatever the stream has."""
    options = "out_color_matrix=bt2020:out_range=limited"
    return options if said.matrix != "unknown" else f"in_color_matrix=bt2020:{options}"


def _to_bt709(said: Pixels) -> list[str]:
    """Filters that make SDR in the primaries of BT.709 from pictures in the matrix of BT.2020."""
    hdr = said.transfer in _HDR
    transfer = said.transfer if hdr else "bt709"
    primaries = said.primaries if said.primaries != "unknown" else "bt2020"
    return [
        f"zscale=min=bt2020nc:rin=limited:pin={primaries}:tin={transfer}:p={primaries}:t=linear:npl={WHITE}:agamma=false",
        "format=gbrpf32le",
        "zscale=p=bt709",
        *([f"tonemap=mobius:param=0.3:desat=0:peak={HIGHLIGHT / WHITE:.4f}"] if hdr else []),
        "zscale=t=bt709",
        "format=gbrp12le",
        "scale=out_color_matrix=bt601:out_range=full",
    ]
