"""Plain colours in every encoding come out as the R, G, B that the standards' formulas give, within 4 of 255."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import simplejpeg

from tests.support.corpus import ffmpeg
from tests.support.raw_video import SIDE, description, encode, extracted

WORST = 4  # of 255, after a JPEG of quality 2
PIXELS = SIDE * SIDE
LUMA = {  # weights of R, G and B (BT.601, BT.709, BT.2020, SMPTE 240M) by FFmpeg's names of the matrices
    "smpte170m": (0.299, 0.587, 0.114),
    "bt470bg": (0.299, 0.587, 0.114),
    "bt709": (0.2126, 0.7152, 0.0722),
    "bt2020nc": (0.2627, 0.678, 0.0593),
    "smpte240m": (0.212, 0.701, 0.087),
}
COLOURS = [
    *((r, g, b) for r in (0, 255) for g in (0, 255) for b in (0, 255)),
    *((32, 192, 64), (200, 120, 80), (10, 10, 60), (128, 128, 128)),
]
PRIMARIES = {  # x and y of R, G, B; all have the white of D65
    "bt709": ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06)),
    "bt2020": ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    "smpte432": ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
}
D65 = (0.3127, 0.3290)
FFV1 = "-c:v ffv1"
PQ, HLG = "smpte2084", "arib-std-b67"


def yuv(colour: Sequence[float], matrix: str, bits: int = 8, *, full: bool = False) -> list[int]:
    """Y, Cb, Cr of R, G, B in 0 .. 1."""
    red, green, blue = LUMA[matrix]
    luma = float(np.dot((red, green, blue), colour))
    chroma = (colour[2] - luma) / (2 - 2 * blue), (colour[0] - luma) / (2 - 2 * red)
    largest, unit = 2**bits - 1, 2 ** (bits - 8)
    if full:
        values = [luma * largest, *(value * largest + 128 * unit for value in chroma)]
    else:
        values = [(16 + 219 * luma) * unit, *((128 + 224 * value) * unit for value in chroma)]
    return [min(max(round(value), 0), largest) for value in values]


def to_bt709(primaries: str) -> np.ndarray:
    """The matrix from linear R, G, B of other primaries to those of BT.709."""
    return np.linalg.solve(to_xyz(PRIMARIES["bt709"]), to_xyz(PRIMARIES[primaries]))


def to_xyz(primaries: Sequence[tuple[float, float]]) -> np.ndarray:
    """The matrix from linear R, G, B to X, Y, Z (SMPTE RP 177)."""
    columns = np.array([(x / y, 1, (1 - x - y) / y) for x, y in primaries]).T
    white = (D65[0] / D65[1], 1, (1 - sum(D65)) / D65[1])
    return columns * np.linalg.solve(columns, white)


def planes(values: Sequence[int], bits: int, sizes: Sequence[int]) -> bytes:
    """A picture of one colour: planes of so many pixels."""
    kind = "u1" if bits == 8 else "<u2"
    return b"".join(np.full(size, value, kind).tobytes() for value, size in zip(values, sizes, strict=True))


def patches(
    video: Path, matrix: str, bits: int, *, full: bool, codec: str = FFV1, tags: str = "", colours: Sequence = COLOURS
) -> Path:
    """A video whose pictures are those colours, one a picture."""
    pictures = [planes(yuv(np.divide(c, 255), matrix, bits, full=full), bits, [PIXELS] * 3) for c in colours]
    return encode(video, "yuv444p" + ("" if bits == 8 else f"{bits}le"), pictures, f"{codec} {tags}", before=tags)


def assert_colours(frames: list[np.ndarray], colours: Sequence[Sequence[float]]) -> None:
    for frame, colour in zip(frames, colours, strict=True):
        assert np.abs(frame.astype(int) - np.round(colour)).max() <= WORST, f"{frame[0, 0]} for {colour}"


@pytest.mark.parametrize("matrix", LUMA)
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("bits", [8, 10, 12])
def test_a_tagged_matrix_and_range_are_converted(tmp_path: Path, matrix: str, full: bool, bits: int):
    said = "pc" if full else "tv"
    video = patches(tmp_path / "a.mkv", matrix, bits, full=full, tags=f"-colorspace {matrix} -color_range {said}")

    assert f"({said}, {matrix}/unknown/unknown, progressive)" in description(video)
    assert_colours(extracted(video), COLOURS)


@pytest.mark.parametrize("matrix", ["smpte170m", "bt709", "bt2020nc"])
@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.mp4", "-pix_fmt yuv420p -c:v libx264 -qp 1"),
        ("a.mp4", "-pix_fmt yuv420p10le -c:v libx265 -x265-params log-level=none:qp=1"),
        ("a.webm", "-pix_fmt yuv420p -c:v libvpx-vp9 -crf 1 -b:v 0"),
    ],
)
def test_the_tags_of_everyday_codecs_with_half_the_chroma_are_read(tmp_path: Path, matrix: str, name: str, codec: str):
    video = patches(tmp_path / name, matrix, 8, full=False, codec=codec, tags=f"-colorspace {matrix} -color_range tv")

    assert f"{matrix}" in description(video)
    assert_colours(extracted(video), COLOURS)


@pytest.mark.parametrize("size", ["64:64", "1920:1080"])
def test_what_has_no_tag_is_bt_601_of_limited_range_whatever_its_height(tmp_path: Path, size: str):
    video = patches(
        tmp_path / "a.avi", "smpte170m", 8, full=False, codec=f"-vf scale={size}:flags=neighbor -c:v ffvhuff"
    )

    assert "bt" not in description(video).split("ffvhuff")[1]
    assert_colours(extracted(video), COLOURS)


@pytest.mark.parametrize("pixel_format", ["gbrp", "gbrp10le", "bgra", "rgb24"])
def test_rgb_is_taken_as_it_is(tmp_path: Path, pixel_format: str):
    pictures = [bytes(colour) * PIXELS for colour in COLOURS]
    video = encode(tmp_path / "a.mkv", "rgb24", pictures, f"-pix_fmt {pixel_format} {FFV1}")

    assert_colours(extracted(video), COLOURS)


@pytest.mark.parametrize("bits", [8, 10])
@pytest.mark.parametrize(("said", "black", "white"), [("pc", 0, 255), ("tv", 16, 235)])
def test_gray_has_the_range_that_it_says(tmp_path: Path, said: str, black: int, white: int, bits: int):
    levels = np.linspace(black, white, 8)
    pictures = [planes([round(level * 2 ** (bits - 8))], bits, [PIXELS]) for level in levels]
    tags = f"-color_range {said}"
    video = encode(tmp_path / "a.mkv", "gray" if bits == 8 else "gray10le", pictures, f"{FFV1} {tags}", before=tags)

    assert f"({said}, " in description(video)
    assert_colours(extracted(video), [[level] * 3 for level in np.linspace(0, 255, 8)])


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.mov", "-c:v png"),
        ("a.mov", "-c:v qtrle"),
        ("a.mkv", FFV1),
        ("a.mov", "-c:v prores_ks -pix_fmt yuva444p10le"),
    ],
)
def test_transparency_is_laid_over_white(tmp_path: Path, name: str, codec: str):
    paints = [(200, 40, 80, 255), (200, 40, 80, 128), (200, 40, 80, 0), (0, 0, 0, 0), (0, 0, 255, 64)]
    video = encode(tmp_path / name, "rgba", [bytes(paint) * PIXELS for paint in paints], codec)

    over_white = [[c * a / 255 + 255 - a for c in (r, g, b)] for r, g, b, a in paints]
    assert_colours(extracted(video), over_white)


def test_a_gif_shows_white_where_it_is_transparent(tmp_path: Path):
    half = np.zeros((SIDE, SIDE, 4), np.uint8)
    half[:, 32:] = (200, 40, 80, 255)
    video = encode(
        tmp_path / "a.gif", "rgba", [half.tobytes()] * 3, "-vf split[a][b];[a]palettegen[p];[b][p]paletteuse"
    )

    frame = extracted(video)[0].astype(int)
    assert np.abs(frame[:, :24] - 255).max() <= WORST
    assert np.abs(frame[:, 40:] - (200, 40, 80)).max() <= WORST


def of_light(light: np.ndarray) -> np.ndarray:
    """R, G, B in 0 .. 255 by which an SDR display (BT.1886) shows a share of its white."""
    return 255 * np.clip(light, 0, 1) ** (1 / 2.4)


@pytest.mark.parametrize(("primaries", "matrix"), [("bt2020", "bt2020nc"), ("bt2020", "bt709"), ("smpte432", "bt709")])
@pytest.mark.parametrize("bits", [8, 10, 12])
def test_wide_primaries_become_those_of_bt_709(tmp_path: Path, primaries: str, matrix: str, bits: int):
    tags = f"-colorspace {matrix} -color_primaries {primaries} -color_trc bt709 -color_range tv"
    light = {colour: to_bt709(primaries) @ np.divide(colour, 255) ** 2.4 for colour in COLOURS}
    colours = [
        c for c in COLOURS if not any(0 < abs(x) < 1e-3 for x in light[c])
    ]  # there a step of 8 bits is 10 of 255
    video = patches(tmp_path / "a.mkv", matrix, bits, full=False, tags=tags, colours=colours)

    assert f"{matrix}/{primaries}/bt709" in description(video)
    assert_colours(extracted(video), [of_light(light[colour]) for colour in colours])


@pytest.mark.parametrize("primaries", ["smpte170m", "bt470bg", "bt709"])
def test_older_primaries_are_left_as_they_are(tmp_path: Path, primaries: str):
    tags = f"-colorspace smpte170m -color_primaries {primaries} -color_trc smpte170m -color_range tv"

    assert_colours(extracted(patches(tmp_path / "a.mkv", "smpte170m", 8, full=False, tags=tags)), COLOURS)


LIGHT = [  # cd/m2 of R, G, B on a display with the primaries of BT.2020
    *((0, 0, 0), (5, 5, 5), (50, 50, 50), (203, 203, 203), (1000, 1000, 1000)),
    *((100, 50, 20), (20, 100, 40), (30, 40, 150), (300, 100, 100), (0, 0, 100), (150, 10, 10)),
]


def pq(light: np.ndarray) -> np.ndarray:
    """SMPTE ST 2084: the signal for a light in cd/m2."""
    power = (light / 10_000) ** (2610 / 16384)
    return ((3424 / 4096 + 2413 / 128 * power) / (1 + 2392 / 128 * power)) ** (2523 / 32)


def hlg(light: np.ndarray) -> np.ndarray:
    """ITU-R BT.2100: the signal for a light of a display of 1000 cd/m2, whose system gamma is 1.2."""
    share = np.asarray(light) / 1000
    luminance = float(np.dot(LUMA["bt2020nc"], share))
    scene = share * luminance ** (1 / 1.2 - 1) if luminance else share
    a = 0.17883277
    b, c = 1 - 4 * a, 0.5 - a * np.log(4 * a)
    return np.where(scene <= 1 / 12, np.sqrt(3 * scene), a * np.log(np.maximum(12 * scene - b, 1e-9)) + c)


def rolled_off(level: float) -> float:
    """The Moebius curve: the same up to 0.3, with the same slope there, and 1 at 1000 / 203."""
    knee, peak = 0.3, 1000 / 203
    if level <= knee:
        return level
    a = -(knee**2) * (peak - 1) / (knee**2 - 2 * knee + peak)
    b = (knee**2 - 2 * knee * peak + peak) / (peak - 1)
    return (b**2 + 2 * b * knee + knee**2) / (b - a) * (level + a) / (level + b)


def on_sdr(light: Sequence[float]) -> np.ndarray:
    """What an SDR display is to show of a light in cd/m2: 203 are white, and the brightest of R, G, B is rolled off."""
    shares = to_bt709("bt2020") @ np.divide(light, 203)
    brightest = shares.max()
    return of_light(shares * rolled_off(brightest) / brightest if brightest > 0 else shares)


def hdr(video: Path, signal: Callable[[np.ndarray], np.ndarray], bits: int, *, full: bool, tags: str) -> Path:
    signals = [signal(np.array(light, float)) for light in LIGHT]
    pictures = [planes(yuv(s, "bt2020nc", bits, full=full), bits, [PIXELS] * 3) for s in signals]
    return encode(video, f"yuv444p{bits}le", pictures, f"{FFV1} {tags}", before=tags)


@pytest.mark.parametrize(("transfer", "signal"), [(PQ, pq), (HLG, hlg)])
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("bits", [10, 12])
def test_hdr_becomes_what_an_sdr_display_shows(
    tmp_path: Path, transfer: str, signal: Callable[[np.ndarray], np.ndarray], full: bool, bits: int
):
    said = "pc" if full else "tv"
    tags = f"-colorspace bt2020nc -color_primaries bt2020 -color_trc {transfer} -color_range {said}"
    video = hdr(tmp_path / "a.mkv", signal, bits, full=full, tags=tags)

    assert f"({said}, bt2020nc/bt2020/{transfer}, " in description(video)
    assert_colours(extracted(video), [on_sdr(light) for light in LIGHT])


def test_hdr_that_says_no_more_than_its_transfer_is_bt_2020(tmp_path: Path):
    video = hdr(tmp_path / "a.mkv", pq, 10, full=False, tags=f"-color_trc {PQ}")

    assert f"unknown/unknown/{PQ}" in description(video)
    assert_colours(extracted(video), [on_sdr(light) for light in LIGHT])


def combed(frames: list[np.ndarray]) -> float:
    """How much neighbouring lines differ beyond those two apart, per pixel."""
    stack = np.asarray(frames).astype(int).mean(axis=3)
    return float(np.mean(np.abs(stack[:, 1:-1] * 2 - stack[:, :-2] - stack[:, 2:])))


def moving(video: Path, *, interlaced: bool, marked: bool) -> Path:
    """A bar that moves by 4 pixels from field to field, in pictures of two fields or in whole ones."""
    fields = np.zeros((24, SIDE, SIDE), np.uint8)
    for number, field in enumerate(fields):
        field[:, 8 + 2 * number % 40 : 16 + 2 * number % 40] = 255
    pictures = fields[::2].copy()
    if interlaced:
        pictures[:, 1::2] = fields[1::2, 1::2]
    mark = "-vf setfield=tff" if marked else "-vf setfield=prog"
    codec = f"{mark} -pix_fmt yuv420p -c:v libx264 -qp 4 {'-flags +ildct+ilme' if marked else ''}"
    return encode(video, "gray", [picture.tobytes() for picture in pictures], codec)


def test_pictures_marked_as_interlaced_are_deinterlaced_one_frame_for_two_fields(tmp_path: Path):
    whole = extracted(moving(tmp_path / "whole.mp4", interlaced=False, marked=False))
    woven = moving(tmp_path / "woven.mp4", interlaced=True, marked=True)
    assert "top first" in description(woven)

    frames = extracted(woven)
    assert len(frames) == len(whole) == 12
    assert combed(frames) < 2 * combed(whole) + 1
    differences = np.abs(np.asarray(frames).astype(int) - np.asarray(whole))
    assert differences[1:-1].mean() < 6  # they show the first field's moment
    assert combed(extracted(moving(tmp_path / "unmarked.mp4", interlaced=True, marked=False))) > 10 * combed(frames)


def test_progressive_pictures_are_not_touched_by_the_deinterlacing(tmp_path: Path):
    video = moving(tmp_path / "a.mp4", interlaced=False, marked=False)
    (tmp_path / "plain").mkdir()
    options = ["-vf", "scale=64:64:flags=bicubic+accurate_rnd", "-pix_fmt", "yuvj420p", "-q:v", "2"]
    ffmpeg(["-i", str(video), *options, str(tmp_path / "plain" / "%06d.jpg")])

    plain = [simplejpeg.decode_jpeg(file.read_bytes()) for file in sorted((tmp_path / "plain").iterdir())]
    assert np.array_equal(extracted(video), plain)
