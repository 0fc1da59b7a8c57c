"""Our frames are those of FFmpeg's own command line, and a video that gives none says why."""

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import simplejpeg

from pipeline.core import params
from pipeline.core.errors import UserError
from pipeline.extraction.config import ExtractConfig
from pipeline.extraction.ffmpeg import extract_frames
from pipeline.extraction.outcome import Extracted, NoFrames
from tests.support import corpus
from tests.support.corpus import FFMPEG, ffmpeg

SIZES = {  # width and height at a short side of 64, by hand: 160x96 -> 106.7x64 -> the nearest even 106x64
    "h264.mp4": (106, 64),
    "vp9.webm": (106, 64),
    "mpeg4.avi": (86, 64),  # 128x96 -> 85.3
    "hevc.mkv": (86, 64),  # 160x120 -> 85.3
    "odd_size.mkv": (106, 64),  # 161x97 -> 106.2
    "upright.mp4": (64, 106),  # 96x160
    "short.mp4": (106, 64),
    "variable rate.mkv": (106, 64),
    "nicht-ASCII/grün.mp4": (106, 64),
    "anamorphic.mp4": (128, 64),  # 96x96 pixels, each twice as wide as high
    "with_sound.mp4": (106, 64),
    "rotated.mov": (64, 106),  # 160x96, to be shown on its side
}
COUNTS = {"short.mp4": 3, "variable rate.mkv": 28}  # all others last a second, which is 30 frames


def config(**changed: Any) -> ExtractConfig:
    right = dict(fps=30, short_side=64, jpeg_qscale=2, timeout_seconds=60, shards=1)
    return ExtractConfig(**(right | changed))


def extract(video: Path, folder: Path, **changed: Any) -> tuple[Extracted, list[bytes]]:
    """What came of the video, and its JPEGs."""
    folder.mkdir()
    result = extract_frames(video, folder, config(**changed), FFMPEG)
    files = sorted(folder.iterdir())
    assert [file.name for file in files] == [f"{number:06d}.jpg" for number in range(result.frames)]
    return result, [file.read_bytes() for file in files]


def by_command_line(video: Path, folder: Path, filters: str, *before: str) -> list[np.ndarray]:
    """The frames that a person gets who types the command."""
    folder.mkdir()
    options = ["-vf", filters, "-sws_flags", "bicubic+accurate_rnd", "-pix_fmt", "yuvj420p", "-q:v", "2"]
    ffmpeg([*before, "-i", f"file:{video}", *options, str(folder / "%03d.jpg")])
    return pictures([file.read_bytes() for file in sorted(folder.iterdir())])


def pictures(jpegs: list[bytes]) -> list[np.ndarray]:
    return [simplejpeg.decode_jpeg(jpeg) for jpeg in jpegs]


def refusal(video: Path, folder: Path, **changed: Any) -> NoFrames:
    folder.mkdir()
    with pytest.raises(NoFrames) as error:
        extract_frames(video, folder, config(**changed), FFMPEG)
    assert str(folder.parent) not in str(error.value)  # the ledger is the same on every machine
    assert "\n" not in str(error.value)
    return error.value


def cut(video: Path, to: Path, share: float) -> Path:
    content = video.read_bytes()
    to.write_bytes(content[: int(len(content) * share)])
    return to


def test_every_clip_with_pictures_is_tried():
    assert {*corpus.CLIPS, corpus.ROTATED} - {*SIZES} == {"sound_only.mp4"}


@pytest.mark.parametrize("name", SIZES)
def test_frames_are_those_of_ffmpegs_own_command_line(clips: Path, tmp_path: Path, name: str):
    width, height = SIZES[name]

    result, jpegs = extract(clips / name, tmp_path / "ours")
    expected = by_command_line(clips / name, tmp_path / "theirs", f"fps=30,scale={width}:{height}")

    assert result.frames == result.promised == len(expected) == COUNTS.get(name, 30)
    assert expected[0].shape == (height, width, 3)
    for ours, theirs in zip(pictures(jpegs), expected, strict=True):
        assert np.array_equal(ours, theirs)


@pytest.mark.parametrize(
    ("name", "short_side", "size"),
    [
        ("h264.mp4", 320, (160, 96)),  # a small clip is not scaled up
        ("upright.mp4", 320, (96, 160)),
        ("anamorphic.mp4", 320, (192, 96)),  # 96x96, whose pixels are made square
        ("h264.mp4", 96, (160, 96)),
        ("odd_size.mkv", 98, (160, 96)),  # 161x97: both sides are made even, 159.3 for the longer one
        ("odd_size.mkv", 96, (160, 96)),
        ("rotated.mov", 30, (30, 50)),
        ("anamorphic.mp4", 2, (4, 2)),
    ],
)
def test_the_short_side_is_what_was_asked_for_or_the_videos_own(
    clips: Path, tmp_path: Path, name: str, short_side: int, size: tuple[int, int]
):
    _, jpegs = extract(clips / name, tmp_path / "ours", short_side=short_side)
    expected = by_command_line(clips / name, tmp_path / "theirs", f"fps=30,scale={size[0]}:{size[1]}")

    assert pictures(jpegs)[0].shape == (size[1], size[0], 3)
    assert np.array_equal(pictures(jpegs), expected)


def test_a_rotation_in_the_metadata_is_applied(clips: Path, tmp_path: Path):
    _, jpegs = extract(clips / corpus.ROTATED, tmp_path / "ours")
    filters = "transpose={},fps=30,scale=64:106"
    turned = by_command_line(clips / "h264.mp4", tmp_path / "left", filters.format("cclock"))
    turned_wrongly = by_command_line(clips / "h264.mp4", tmp_path / "right", filters.format("clock"))

    assert np.array_equal(pictures(jpegs), turned)
    assert not np.array_equal(pictures(jpegs), turned_wrongly)


def test_colours_survive(clips: Path, tmp_path: Path):
    _, jpegs = extract(clips / "nicht-ASCII" / "grün.mp4", tmp_path / "frames")

    assert np.abs(np.mean(pictures(jpegs), axis=(0, 1, 2)) - (0, 128, 0)).max() < 3  # FFmpeg's green


def test_black_is_0_and_white_255(tmp_path: Path):
    ffmpeg(["-f", "lavfi", "-i", "color=white:s=64x64:d=0.1", "-pix_fmt", "yuv420p", str(tmp_path / "white.mp4")])
    ffmpeg(["-f", "lavfi", "-i", "color=black:s=64x64:d=0.1", "-pix_fmt", "yuv420p", str(tmp_path / "black.mp4")])

    _, white = extract(tmp_path / "white.mp4", tmp_path / "white")
    _, black = extract(tmp_path / "black.mp4", tmp_path / "black")
    assert pictures(white)[0].min() >= 254
    assert pictures(black)[0].max() <= 1


def changes(jpegs: list[bytes]) -> list[int]:
    """The frames that differ from the one before; the others repeat it."""
    return [number for number in range(len(jpegs)) if number == 0 or jpegs[number] != jpegs[number - 1]]


def test_a_rate_of_15_repeats_every_frame(clips: Path, tmp_path: Path):
    _, jpegs = extract(clips / "mpeg4.avi", tmp_path / "frames")

    assert len(jpegs) == 30
    assert changes(jpegs) == list(range(0, 30, 2))


@pytest.mark.parametrize(("name", "rate"), [("hevc.mkv", 24), ("vp9.webm", 25)])
def test_a_rate_of_24_or_25_repeats_some_frames(clips: Path, tmp_path: Path, name: str, rate: int):
    _, jpegs = extract(clips / name, tmp_path / "frames")

    assert len(jpegs) == 30
    assert len(changes(jpegs)) == rate


def test_a_variable_rate_repeats_a_frame_for_as_long_as_it_is_shown(clips: Path, tmp_path: Path):
    _, jpegs = extract(clips / "variable rate.mkv", tmp_path / "frames")

    assert changes(jpegs) == [*range(10), 12, 15, 18, 21, 24, 27]  # the frames that the clip was recorded with


def test_a_rate_of_60_drops_every_other_frame(tmp_path: Path):
    fast = tmp_path / "fast.mkv"
    ffmpeg(["-f", "lavfi", "-i", "testsrc2=s=64x64:r=60:d=0.5", "-c:v", "ffv1", str(fast)])

    _, jpegs = extract(fast, tmp_path / "frames")
    assert len(jpegs) == 15
    assert changes(jpegs) == list(range(15))


def test_another_rate_is_a_setting(clips: Path, tmp_path: Path):
    result, jpegs = extract(clips / "h264.mp4", tmp_path / "frames", fps=10)

    assert len(jpegs) == result.promised == 10


def test_a_coarser_quality_is_a_setting(clips: Path, tmp_path: Path):
    _, fine = extract(clips / "h264.mp4", tmp_path / "fine", jpeg_qscale=2)
    _, coarse = extract(clips / "h264.mp4", tmp_path / "coarse", jpeg_qscale=31)

    assert sum(map(len, coarse)) < sum(map(len, fine)) / 2


def test_the_same_video_gives_the_same_bytes(clips: Path, tmp_path: Path):
    assert extract(clips / "h264.mp4", tmp_path / "a") == extract(clips / "h264.mp4", tmp_path / "b")


def test_a_cover_picture_is_no_video(clips: Path, tmp_path: Path):
    cover, song = tmp_path / "cover.png", tmp_path / "song.mp4"
    ffmpeg(["-f", "lavfi", "-i", "color=red:s=64x64", "-frames:v", "1", str(cover)])
    sources = ["-i", str(clips / "sound_only.mp4"), "-i", str(cover)]
    ffmpeg([*sources, "-map", "0", "-map", "1", "-c", "copy", "-disposition:v:0", "attached_pic", str(song)])

    assert refusal(song, tmp_path / "frames").reason == "no_video_stream"


def test_the_video_behind_a_cover_picture_is_taken(clips: Path, tmp_path: Path):
    cover, both = tmp_path / "cover.png", tmp_path / "both.mp4"
    ffmpeg(["-f", "lavfi", "-i", "color=red:s=64x64", "-frames:v", "1", str(cover)])
    sources = ["-i", str(cover), "-i", str(clips / "h264.mp4")]
    ffmpeg([*sources, "-map", "0", "-map", "1", "-c", "copy", "-disposition:v:0", "attached_pic", str(both)])

    _, jpegs = extract(both, tmp_path / "both")
    _, alone = extract(clips / "h264.mp4", tmp_path / "alone")
    assert jpegs == alone


def test_a_missing_file_is_said_to_be_missing(tmp_path: Path):
    broken = refusal(tmp_path / "a.mp4", tmp_path / "frames")

    assert broken.reason == "missing"
    assert "a.mp4" in str(broken)


def test_a_folder_is_no_file(tmp_path: Path):
    (tmp_path / "a.mp4").mkdir()

    broken = refusal(tmp_path / "a.mp4", tmp_path / "frames")
    assert (broken.reason, str(broken)) == ("unreadable", "a folder, and no file")


def test_an_empty_file_is_said_to_be_empty(tmp_path: Path):
    (tmp_path / "a.mp4").touch()

    assert refusal(tmp_path / "a.mp4", tmp_path / "frames").reason == "empty"


@pytest.mark.parametrize("content", [b"This is not a video.\n" * 40, bytes(range(256)) * 8, b"x"])
def test_a_file_of_something_else_is_no_video(tmp_path: Path, content: bytes):
    (tmp_path / "a.mp4").write_bytes(content)

    assert refusal(tmp_path / "a.mp4", tmp_path / "frames").reason == "not_a_video"


def test_a_file_cut_before_its_index_is_truncated(clips: Path, tmp_path: Path):
    broken = refusal(cut(clips / "h264.mp4", tmp_path / "cut.mp4", 0.5), tmp_path / "frames")

    assert broken.reason == "truncated"
    assert str(broken) == "the file ends, or is damaged, before its index | moov atom not found"  # FFmpeg's own words


@pytest.mark.parametrize("kept", [20, 100, 200, 500, 800])
def test_a_file_cut_within_its_index_is_truncated(clips: Path, tmp_path: Path, kept: int):
    data = (clips / "h264.mp4").read_bytes()
    index = data.index(b"moov") - 4
    (tmp_path / "cut.mp4").write_bytes(data[:32] + data[index : index + kept])

    broken = refusal(tmp_path / "cut.mp4", tmp_path / "frames")
    assert broken.reason == "truncated"
    assert str(broken).startswith("the file ends within its index")


def test_a_file_of_sound_has_no_video_stream(clips: Path, tmp_path: Path):
    broken = refusal(clips / "sound_only.mp4", tmp_path / "frames")

    assert broken.reason == "no_video_stream"
    assert str(broken).startswith("no video stream, but Audio: aac")


def test_a_video_without_a_picture_that_decodes_is_said_to_fail(clips: Path, tmp_path: Path):
    content = (clips / "h264.mp4").read_bytes()
    start = content.index(b"mdat") + 4
    length = int.from_bytes(content[start - 8 : start - 4], "big") - 8
    (tmp_path / "a.mp4").write_bytes(content[:start] + bytes(length) + content[start + length :])

    broken = refusal(tmp_path / "a.mp4", tmp_path / "frames")
    assert broken.reason == "decode_failed"
    assert str(broken)


def test_the_words_for_a_broken_video_are_the_same_every_time(clips: Path, tmp_path: Path):
    broken = cut(clips / "h264.mp4", tmp_path / "cut.mp4", 0.5)

    first, again = (refusal(broken, tmp_path / name) for name in ("a", "b"))  # no address of FFmpeg's memory
    assert str(first) == str(again)


def test_the_name_of_a_file_is_never_said(clips: Path, tmp_path: Path):
    (tmp_path / "moov atom not found").write_bytes(b"This is not a video.\n" * 40)

    broken = refusal(tmp_path / "moov atom not found", tmp_path / "frames")
    assert broken.reason == "not_a_video"
    assert "moov" not in str(broken)


def test_the_first_part_of_a_video_gives_frames_and_a_note(clips: Path, tmp_path: Path):
    whole = tmp_path / "whole.mp4"  # its index comes first
    ffmpeg(["-i", str(clips / "h264.mp4"), "-c", "copy", "-movflags", "+faststart", str(whole)])

    result, jpegs = extract(cut(whole, tmp_path / "part.mp4", 0.9), tmp_path / "part")
    _, all_of_it = extract(whole, tmp_path / "all")

    assert 24 <= result.frames < 30
    assert result.promised == 30
    assert f"{result.frames} of 30 promised frames | " in result.words
    assert "partial file" in result.words
    assert str(tmp_path) not in result.words
    assert jpegs[:20] == all_of_it[:20]


def test_half_a_video_is_said_to_be_partial(clips: Path, tmp_path: Path):
    whole = tmp_path / "whole.mp4"
    ffmpeg(["-i", str(clips / "h264.mp4"), "-c", "copy", "-movflags", "+faststart", str(whole)])

    broken = refusal(cut(whole, tmp_path / "part.mp4", 0.6), tmp_path / "frames")
    assert broken.reason == "partial"
    assert re.search(r"\d\d of 30 promised frames \(extract.most_damage is 0.2\)", str(broken))
    result, _ = extract(tmp_path / "part.mp4", tmp_path / "tolerant", most_damage=0.6)
    assert 5 < result.frames < 20


def test_a_full_disk_is_no_fault_of_the_video(clips: Path, tmp_path: Path):
    (tmp_path / "frames").mkdir()
    (tmp_path / "frames" / "000003.jpg").symlink_to("/dev/full")

    with pytest.raises(UserError, match=r"cannot write into .*frames \(No space left on device\).*machine\.scratch"):
        extract_frames(clips / "short.mp4", tmp_path / "frames", config(fps=60), FFMPEG)


def test_a_good_video_needs_no_words(clips: Path, tmp_path: Path):
    result, _ = extract(clips / "h264.mp4", tmp_path / "frames")

    assert result.words == ""


@pytest.mark.parametrize(
    "name",
    [
        "with blanks .mp4",
        "grün 視頻.mp4",
        "-dash.mp4",
        "100%.mp4",
        "%06d.mp4",
        "a:b.mp4",
        "http:x.mp4",
        "pipe:0",
        "concat:a|b.mp4",
        "quo'te\".mp4",
        "back\\slash.mp4",
        "[x]*?{y}.mp4",
        "$HOME;&.mp4",
    ],
)
def test_a_name_is_only_a_name(clips: Path, tmp_path: Path, name: str):
    (tmp_path / "corpus").mkdir()
    shutil.copyfile(clips / "short.mp4", tmp_path / "corpus" / name)

    _, jpegs = extract(tmp_path / "corpus" / name, tmp_path / "frames")
    _, plain = extract(clips / "short.mp4", tmp_path / "plain")
    assert jpegs == plain


def test_a_relative_path_is_meant_from_where_the_pipeline_runs(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(clips)

    result, _ = extract(Path("short.mp4"), tmp_path / "frames")
    assert result.frames == 3


def test_nothing_is_written_but_the_frames(clips: Path, tmp_path: Path):
    before = sorted(clips.rglob("*"))
    extract(clips / "short.mp4", tmp_path / "frames")

    assert sorted(clips.rglob("*")) == before
    assert [path.name for path in tmp_path.iterdir()] == ["frames"]


@pytest.mark.parametrize(
    "wrong",
    [{"fps": 0}, {"short_side": 63}, {"short_side": 0}, {"jpeg_qscale": 1}, {"jpeg_qscale": 32}, {"shards": 0}],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, int]):
    right = dict(fps=30, short_side=64, jpeg_qscale=2, timeout_seconds=60, shards=1)

    with pytest.raises(UserError, match=next(iter(wrong))):
        params.build(ExtractConfig, right | wrong, where="extract")
