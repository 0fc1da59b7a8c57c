"""Each frame shows the picture that is on the screen at its time; pictures carry their number in black and white."""

import math
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from tests.support.corpus import FFMPEG, ffmpeg
from tests.support.raw_video import SIDE, encode, extracted

BITS, BLOCK = 6, SIDE // 8


def numbered(number: int) -> bytes:
    """A gray picture of `number` as six bits: stripes of 8 pixels, white for 1, between black ones."""
    picture = np.zeros((SIDE, SIDE), np.uint8)
    for bit in range(BITS):
        picture[:, (bit + 1) * BLOCK : (bit + 2) * BLOCK] = 255 * (number >> bit & 1)
    return picture.tobytes()


def number(frame: np.ndarray) -> int:
    """The number that a frame shows."""
    stripes = frame.reshape(frame.shape[0], 8, -1).mean(axis=(0, 2))
    assert np.all((stripes < 40) | (stripes > 215)), "two pictures are mixed"
    return sum(int(stripes[bit + 1] > 128) << bit for bit in range(BITS))


def record(video: Path, milliseconds: Sequence[int], codec: str = "-c:v libx264 -bf 3") -> Path:
    """A video of numbered pictures, each shown from its time on."""
    times = "+".join(f"eq(N,{n})*{time}" for n, time in enumerate(milliseconds))
    filters = f"settb=1/1000,setpts='{times}'"
    options = f"-vf {filters} -enc_time_base 1/1000 -fps_mode passthrough -pix_fmt yuv420p {codec}"
    return encode(video, "gray", map(numbered, range(len(milliseconds))), options)


def on_screen(milliseconds: Sequence[int], fps: int = 30) -> list[int]:
    """The picture at each output frame up to the last picture, by a loop: times are rounded to whole frames."""
    ticks = [math.floor((time - milliseconds[0]) * fps / 1000 + 0.5) for time in milliseconds]
    shown = []
    for tick in range(ticks[-1] + 1):
        newest = 0
        for picture, since in enumerate(ticks):
            if since <= tick:
                newest = picture
        shown.append(newest)
    return shown


def assert_shows(frames: list[np.ndarray], expected: list[int]) -> None:
    """Assert that `frames` show `expected`, then nothing but the last picture."""
    numbers = [number(frame) for frame in frames]
    assert numbers[: len(expected)] == expected
    assert set(numbers[len(expected) :]) <= {expected[-1]}


def assert_shows_the_end(frames: list[np.ndarray], milliseconds: Sequence[int]) -> None:
    """Assert that `frames` show all pictures from one in the first half on."""
    first = number(frames[0])
    assert 0 < first < len(milliseconds) // 2
    assert_shows(frames, [first + picture for picture in on_screen(milliseconds[first:])])


def errors(video: Path) -> str:
    """What FFmpeg complains of as it decodes."""
    call = [FFMPEG, "-v", "error", "-i", str(video), "-f", "null", "-"]
    return subprocess.run(call, stderr=subprocess.PIPE, text=True, check=True).stderr


def sound_packets(video: Path) -> list[bytes]:
    """The packets of the sound, as the file holds them."""
    call = [FFMPEG, "-v", "error", "-i", str(video), "-map", "0:a", "-c", "copy", "-f"]
    table = subprocess.run([*call, "framecrc", "-"], stdout=subprocess.PIPE, text=True, check=True).stdout
    sizes = [int(line.split(",")[4]) for line in table.splitlines() if not line.startswith("#")]
    data = subprocess.run([*call, "data", "-"], stdout=subprocess.PIPE, check=True).stdout
    ends = np.cumsum(sizes).tolist()
    return [data[end - size : end] for end, size in zip(ends, sizes, strict=True)]


STEADY = [round(n * 1000 / 24) for n in range(40)]
VARIABLE = [0, *np.cumsum(np.random.default_rng(3).integers(4, 120, 39)).tolist()]


@pytest.mark.parametrize("times", [STEADY, VARIABLE, [n * 20 for n in range(50)], [0, 33, 1000, 1033, 4000]])
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts", "a.nut"])
def test_steady_and_variable_rates_with_bidirectional_pictures(tmp_path: Path, name: str, times: list[int]):
    assert_shows(extracted(record(tmp_path / name, times)), on_screen(times))


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv", "a.flv"])
def test_a_still_between_bursts_as_in_a_recorded_screen_is_no_lack_of_frames(tmp_path: Path, name: str):
    bursts = [start + 40 * n for start in (0, 3_000) for n in range(12)]

    assert_shows(extracted(record(tmp_path / name, bursts, "-c:v libx264 -bf 3 -b_strategy 0")), on_screen(bursts))


BURSTS = [start + 40 * n for start in (0, 3_000, 6_000) for n in range(12)]


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_damaged_sound_makes_no_holes_in_a_recorded_screen(tmp_path: Path, name: str):
    silent = record(tmp_path / "silent.mkv", BURSTS)
    noise = ["-f", "lavfi", "-i", "anoisesrc=d=7:a=0.5:seed=1", "-c:a", "aac", "-b:a", "128k"]
    ffmpeg(["-i", str(silent), *noise, "-map", "0:v", "-map", "1:a", "-c:v", "copy", str(tmp_path / name)])
    data = bytearray((tmp_path / name).read_bytes())
    for packet in sound_packets(tmp_path / name)[:12]:
        place = data.index(packet)
        data[place + 2 : place + len(packet)] = np.random.default_rng(1).bytes(len(packet) - 2)
    (tmp_path / name).write_bytes(data)
    assert "[aac" in errors(tmp_path / name)

    assert_shows(extracted(tmp_path / name), on_screen(BURSTS))


def test_a_recorded_screen_cut_in_the_middle_of_a_group_has_no_holes(tmp_path: Path):
    data = record(tmp_path / "whole.ts", BURSTS, "-c:v libx264 -bf 2 -g 12").read_bytes()
    (tmp_path / "cut.ts").write_bytes(data[len(data) // 10 // 188 * 188 :])
    assert "non-existing PPS" in errors(tmp_path / "cut.ts")

    assert_shows_the_end(extracted(tmp_path / "cut.ts"), BURSTS)


def test_an_hevc_stream_cut_in_the_middle_of_a_group_is_whole_from_its_first_key_picture(tmp_path: Path):
    open_groups = "log-level=none:open-gop=1:keyint=16:min-keyint=16:bframes=4:scenecut=0"
    times = [round(n * 1000 / 30) for n in range(40)]
    codec = f"-c:v libx265 -x265-params {open_groups}"
    data = record(tmp_path / "whole.ts", times, codec).read_bytes()
    (tmp_path / "cut.ts").write_bytes(data[len(data) // 5 // 188 * 188 :])
    assert "Could not find ref with POC" in errors(tmp_path / "cut.ts")

    assert_shows_the_end(extracted(tmp_path / "cut.ts"), times)


@pytest.mark.parametrize("codec", ["-c:v libx265 -x265-params log-level=none:bframes=4:b-pyramid=1", "-c:v libvpx-vp9"])
def test_other_codecs_that_reorder_pictures(tmp_path: Path, codec: str):
    assert_shows(extracted(record(tmp_path / "a.mkv", VARIABLE, codec)), on_screen(VARIABLE))


@pytest.mark.parametrize("start", ["17ms", "1500ms"])
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.nut", "a.ts"])
def test_a_start_that_is_not_zero_changes_nothing(tmp_path: Path, name: str, start: str):
    late = f"-c:v libx264 -bf 3 -output_ts_offset {start}"

    assert_shows(extracted(record(tmp_path / name, VARIABLE, late)), on_screen(VARIABLE))


def test_negative_offsets_of_shown_from_decoded_pictures_change_nothing(tmp_path: Path):
    codec = "-c:v libx264 -bf 3 -movflags +negative_cts_offsets"

    assert_shows(extracted(record(tmp_path / "a.mp4", VARIABLE, codec)), on_screen(VARIABLE))


def test_timestamps_that_begin_below_zero_once_they_have_wrapped_change_nothing(tmp_path: Path):
    wraps = 2**33 / 90_000  # seconds after which a transport stream counts from 0 again
    codec = f"-c:v libx264 -bf 3 -output_ts_offset {wraps - 2.5}"
    video = record(tmp_path / "a.ts", VARIABLE, codec)

    assert_shows(extracted(video), on_screen(VARIABLE))


def test_an_edit_list_cuts_the_pictures_before_its_start(tmp_path: Path):
    whole = record(tmp_path / "whole.mp4", STEADY, "-c:v libx264 -bf 3 -g 250")
    ffmpeg(["-ss", "0.75", "-i", str(whole), "-c", "copy", str(tmp_path / "cut.mp4")])
    assert b"elst" in (tmp_path / "cut.mp4").read_bytes()

    expected = [picture + 18 for picture in on_screen(STEADY[18:])]  # 18 / 24 s; the key picture is number 0
    assert_shows(extracted(tmp_path / "cut.mp4"), expected)


def test_what_an_edit_list_cuts_is_not_missed_where_ffmpeg_reports_an_error(tmp_path: Path):
    """As of a film that was trimmed without encoding it anew; pictures lean on those of the group before."""
    open_groups = "-c:v libx264 -bf 3 -b_strategy 0 -g 24 -x264-params open-gop=1:scenecut=0"
    whole = record(tmp_path / "whole.mp4", [40 * n for n in range(60)], open_groups)
    ffmpeg(["-ss", "1.6", "-i", str(whole), "-c", "copy", str(tmp_path / "cut.mp4")])
    assert "mmco: unref short failure" in errors(tmp_path / "cut.mp4")

    assert_shows(extracted(tmp_path / "cut.mp4"), [picture + 40 for picture in on_screen([40 * n for n in range(20)])])


def test_a_start_after_the_sound_is_the_pictures_own(tmp_path: Path):
    record(tmp_path / "silent.mp4", VARIABLE)
    sound = ["-f", "lavfi", "-i", "sine=d=2"]
    late = ["-itsoffset", "0.5", "-i", str(tmp_path / "silent.mp4")]
    ffmpeg([*sound, *late, "-map", "1:v", "-map", "0:a", "-c:v", "copy", "-c:a", "aac", str(tmp_path / "a.mp4")])

    assert_shows(extracted(tmp_path / "a.mp4"), on_screen(VARIABLE))


@pytest.mark.parametrize("second", ["-s 128x96 -pix_fmt yuv420p", "-s 48x48 -pix_fmt yuv420p", "-pix_fmt yuv444p"])
def test_a_stream_that_changes_size_or_format_keeps_its_rest(tmp_path: Path, second: str):
    frames = extracted(joined(tmp_path, second))

    assert {frame.shape for frame in frames} == {(SIDE, SIDE, 3)}
    assert [number(frame) for frame in frames] == [*range(60)]


@pytest.mark.parametrize("second", ["-s 128x96 -pix_fmt yuv420p", "-s 48x48 -pix_fmt yuv420p", "-pix_fmt yuv444p"])
def test_a_turned_stream_that_changes_keeps_its_rest_but_for_the_pictures_at_the_seam(tmp_path: Path, second: str):
    turned = tmp_path / "turned.mp4"
    ffmpeg(["-display_rotation", "180", "-i", str(joined(tmp_path, second)), "-c", "copy", str(turned)])

    frames = extracted(turned)
    assert {frame.shape for frame in frames} == {(SIDE, SIDE, 3)}
    numbers = [number(frame[:, ::-1]) for frame in frames]
    assert numbers == sorted(numbers)
    assert {*range(60)} - {*numbers} <= {28, 29, 58, 59}


@pytest.mark.slow
@pytest.mark.parametrize("times", [[0, 100, 600_000, 600_100], [0, 300_000, 600_000]])
def test_a_gap_and_a_slide_show_take_no_more_memory_than_other_videos(tmp_path: Path, times: list[int]):
    video = record(tmp_path / "a.mkv", times, "-c:v libx264 -s 1280x720")
    program = (
        "import resource; from pathlib import Path; from tests.support.raw_video import extracted;"
        f"print(len(extracted(Path({str(video)!r}))), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    frames, kilobytes = map(int, done.stdout.split())
    assert frames >= 18_000  # ten minutes
    assert kilobytes < 300_000


def joined(folder: Path, second: str) -> Path:
    """A transport stream of two parts of 30 numbered pictures; the options `second` make the second one another."""
    parts = [
        encode(folder / f"{first}.ts", "gray", map(numbered, range(first, first + 30)), options)
        for first, options in (
            (0, "-pix_fmt yuv420p -c:v libx264 -bf 0"),
            (30, f"{second} -c:v libx264 -bf 0 -output_ts_offset 1"),
        )
    ]
    whole = folder / "joined.ts"
    whole.write_bytes(b"".join(part.read_bytes() for part in parts))
    return whole
