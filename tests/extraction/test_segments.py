"""A segment's frames are those of the whole, byte for byte, however FFmpeg came to them; and the verdict is on it."""

import dataclasses
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from pipeline.core import files, frame_index, tsv
from pipeline.core.broken_videos import read_broken
from pipeline.core.manifest import SPLITS, Manifest, VideoRecord
from pipeline.core.segments import Segment
from pipeline.extraction import extract
from pipeline.extraction import ffmpeg as extraction
from pipeline.extraction.config import ExtractConfig
from pipeline.extraction.ffmpeg_log import FFmpegLog
from pipeline.extraction.outcome import Extracted, NoFrames
from pipeline.extraction.probe import Facts, Stream
from pipeline.extraction.span import Span, trusted
from tests.support import tiny
from tests.support.corpus import FFMPEG

CONFIG = ExtractConfig(fps=30, short_side=32, jpeg_qscale=5, timeout_seconds=60, shards=1)
SOURCE = "-f lavfi -i testsrc2=s=64x48:r=25:d=8,noise=alls=20:allf=t"
X264 = "-c:v libx264 -bf 3 -pix_fmt yuv420p"
SOUND = "-f lavfi -i sine=d=8 -map 0:v -map 1:a -c:a aac"
MADE = {
    "closed.mp4": f"{SOURCE} {X264} -g 50",
    "open.mp4": f"{SOURCE} {X264} -g 30 -x264-params open-gop=1:b-pyramid=normal",
    "refresh.mkv": f"{SOURCE} -vf pad=640:48:40 {X264} -g 100 -x264-params intra-refresh=1",
    "hevc.mp4": f"{SOURCE} -c:v libx265 -x265-params log-level=none:open-gop=1:keyint=50 -pix_fmt yuv420p",
    "vp9.webm": f"{SOURCE} -c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 60",
    "variable.mkv": f"{SOURCE} -vf select='not(mod(n,7))+between(n,70,120)' -fps_mode vfr {X264} -g 20",
    "fields.mkv": f"{SOURCE} -vf interlace -c:v libx264 -flags +ildct+ilme -bf 2 -g 25 -pix_fmt yuv420p",
    "xvid.avi": f"{SOURCE} -c:v mpeg4 -bf 2 -g 50",
    "stream.mpg": f"{SOURCE} -c:v mpeg2video -bf 2 -g 15",
    "open.ts": "-i open.mp4 -c copy",
    "open.mkv": "-i open.mp4 -c copy",
    "open.flv": "-i open.mp4 -c copy",
    "bare.h264": "-i open.mp4 -c copy -bsf:v h264_mp4toannexb",
    "pieces.mp4": "-i open.mp4 -c copy -movflags +frag_keyframe+empty_moov+default_base_moof",
    "late.mp4": f"-itsoffset 1.3 -i closed.mp4 {SOUND} -c:v copy",
    "late.mkv": f"-itsoffset 1.3 -i closed.mp4 {SOUND} -c:v copy",
    "edited.mp4": "-ss 1.3 -i open.mp4 -c copy",
    "negative.mkv": "-ss 1.3 -i closed.mp4 -c copy -copyts -avoid_negative_ts disabled",
    "clock.ts": "-i closed.mp4 -c copy -muxdelay 0 -output_ts_offset 95440",
}
"""Options of FFmpeg that make each; the later ones are made of earlier ones."""
SPANS = ((0.0, 0.7), (3.97, 5.01))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All of `MADE`."""
    made = tmp_path_factory.mktemp("long")
    for name, options in MADE.items():
        call = [FFMPEG, "-v", "error", *options.split(), "-threads", "1", "-bitexact", name]
        subprocess.run(call, cwd=made, check=True)
    return made


@pytest.fixture
def seeks(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """For each call of FFmpeg that decodes a segment, whether it sought."""
    sought: list[bool] = []
    real = extraction.command

    def seen(*arguments: Any) -> list[str]:
        call = real(*arguments)
        sought.append("-ss" in call)
        return call

    monkeypatch.setattr(extraction, "command", seen)
    return sought


def frames(video: Path, out: Path, segment: Segment | None = None, **settings: Any) -> tuple[Extracted, list[bytes]]:
    out.mkdir(parents=True)
    outcome = extraction.extract_frames(video, out, dataclasses.replace(CONFIG, **settings), FFMPEG, segment)
    return outcome, [file.read_bytes() for file in sorted(out.iterdir())]


def refusal(video: Path, out: Path, segment: Segment, **settings: Any) -> NoFrames:
    with pytest.raises(NoFrames) as refused:
        frames(video, out, segment, **settings)
    return refused.value


def first_number(video: Path) -> int:
    """The number of the whole's first frame on the clock of the file, as FFmpeg itself writes it."""
    call = [FFMPEG, "-v", "error", "-i", str(video), "-map", "0:v:0", "-vf", "fps=30", "-frames:v", "1"]
    said = subprocess.run([*call, "-f", "framecrc", "-"], capture_output=True, text=True, check=True).stdout
    assert "#tb 0: 1/30" in said
    return int(said.splitlines()[-1].split(",")[2])


@pytest.mark.parametrize("name", MADE)
def test_the_frames_of_a_segment_are_those_of_the_whole(folder: Path, tmp_path: Path, name: str):
    _, whole = frames(folder / name, tmp_path / "whole")
    offset = first_number(folder / name)

    for number, (start, end) in enumerate(SPANS):
        segment = Segment(start, end)
        first, beyond = segment.frames(30)
        expected = whole[max(0, first - offset) : max(0, int(beyond) - offset)]
        if expected:
            assert frames(folder / name, tmp_path / str(number), segment)[1] == expected, (start, end)
        else:  # the sound begins first
            assert refusal(folder / name, tmp_path / str(number), segment).reason == "outside"


@pytest.mark.parametrize(
    "name", ["closed.mp4", "open.mp4", "hevc.mp4", "vp9.webm", "late.mp4", "edited.mp4", "open.mkv"]
)
def test_where_there_is_an_index_no_more_is_decoded_than_must_be(
    folder: Path, tmp_path: Path, seeks: list[bool], name: str
):
    frames(folder / name, tmp_path / "middle", Segment(4.5, 5.5))
    frames(folder / name, tmp_path / "end", Segment(4.5))

    assert seeks == [True, True]


def test_a_seek_that_lands_too_late_is_not_trusted(folder: Path, tmp_path: Path, seeks: list[bool]):
    frames(folder / "refresh.mkv", tmp_path / "out", Segment(5.9, 6.2))

    assert seeks == [True, False]


@pytest.mark.parametrize("name", ["closed.mp4", "open.ts"])
def test_a_segment_without_end_goes_on_to_the_last_frame(folder: Path, tmp_path: Path, name: str):
    whole, all_frames = frames(folder / name, tmp_path / "whole")
    outcome, last = frames(folder / name, tmp_path / "last", Segment(6.0))

    assert last == all_frames[180 - first_number(folder / name) :]
    assert (outcome.frames, outcome.promised, outcome.damaged, outcome.words) == (len(last), len(last), 0, "")
    assert whole.decoded == 200
    assert outcome.decoded == 50


def test_an_end_a_little_past_that_of_the_file_is_lawful(folder: Path, tmp_path: Path):
    outcome, _ = frames(folder / "closed.mp4", tmp_path / "out", Segment(6.0, 8.05))

    assert (outcome.frames, outcome.promised, outcome.words) == (60, 62, "")


def test_an_end_further_past_is_noted_and_much_further_partial(folder: Path, tmp_path: Path):
    outcome, _ = frames(folder / "closed.mp4", tmp_path / "out", Segment(6.0, 8.4))
    refused = refusal(folder / "closed.mp4", tmp_path / "much", Segment(6.0, 9.0))

    assert (outcome.frames, outcome.promised) == (60, 72)
    assert outcome.words == "60 of 72 promised frames, the video ends at 8.00 s"
    assert refused.reason == "partial"
    assert str(refused).startswith("60 of 90 promised frames, the video ends at 8.00 s (extract.most_damage is 0.2)")


@pytest.mark.parametrize("name", ["closed.mp4", "vp9.webm", "open.ts"])
@pytest.mark.parametrize("segment", [Segment(8.2, 9.0), Segment(100.0)])
def test_a_segment_past_the_end_of_the_file_is_outside(folder: Path, tmp_path: Path, name: str, segment: Segment):
    refused = refusal(folder / name, tmp_path / "out", segment)

    assert refused.reason == "outside"
    assert str(refused) == f"no frame from {segment.start:g} s on, as the video ends at 8.00 s"


def test_a_segment_between_two_frames_is_outside(folder: Path, tmp_path: Path):
    refused = refusal(folder / "closed.mp4", tmp_path / "out", Segment(1.001, 1.03))

    assert (refused.reason, str(refused)) == ("outside", "0.029 s of video, in which no frame falls at 30 a second")


def test_times_that_jump_midway_are_those_of_the_whole(folder: Path, tmp_path: Path):
    data = (folder / "open.ts").read_bytes()
    (tmp_path / "jump.ts").write_bytes(data + data)

    _, whole = frames(tmp_path / "jump.ts", tmp_path / "whole", most_damage=1)
    first = first_number(tmp_path / "jump.ts")
    _, part = frames(tmp_path / "jump.ts", tmp_path / "part", Segment(10.0, 11.0), most_damage=1)
    assert part == whole[300 - first : 330 - first]


def sought(times: Sequence[int], extra: Sequence[str] = (), size: str = "w:64 h:48 pixfmt:yuv420p") -> FFmpegLog:
    """What FFmpeg says after a seek, of pictures at some tenths of a second; `extra` lines come before the last one."""
    log = FFmpegLog(until=4.95)
    said = ["[info] Stream mapping:", f"[graph -1 input from stream 0:0 @ 0x1] [verbose] {size} tb:1/10"]
    for time in times:
        said += extra if time == times[-1] else ()
        place = f"pts:{time} pts_time:0 pkt_dts:0 pkt_dts_time:0 duration:1 duration_time:1 keyframe:0"
        said.append(f"[dec:h264 @ 0x6] [info] decoder -> {place} frame_type:2 time_base:1/10")
    for line in said:
        log.hear(line.encode())
    return log


@pytest.mark.parametrize(
    ("log", "frames", "expected"),
    [
        (sought(range(28, 51)), 20, True),
        (sought(range(30, 51)), 20, False),  # no picture before the first one that is shown
        (sought(range(31, 51)), 20, False),
        (sought(range(28, 51)), 19, False),  # and not the end of the file
        (sought(range(28, 51), size="w:32 h:48 pixfmt:yuv420p"), 20, False),
        (sought(range(28, 51), size="w:64 h:48 pixfmt:yuv422p"), 20, False),
        (sought(range(28, 50), ["[h264 @ 0x1] [error] missing picture"]), 20, False),
        (sought(range(28, 52), ["[h264 @ 0x1] [error] missing picture"]), 20, True),  # after the end
        (sought(range(28, 50), ["[in#0/mov @ 0x1] [error] partial file"]), 20, False),
        (sought(range(28, 50), ["[in#0/mov @ 0x1] [warning] corrupt input packet in stream 0"]), 20, False),
        (sought(range(28, 50), ["[dec:h264 @ 0x1] [error] Error submitting packet to decoder: x"]), 20, False),
        (sought(range(28, 50), ["[dec:h264 @ 0x1] [warning] corrupt decoded frame"]), 20, False),
    ],
)
def test_what_was_sought_is_trusted_where_nothing_speaks_against_it(log: FFmpegLog, frames: int, expected: bool):
    stream = Stream(0, "h264", "h264, yuv420p, 64x48", 64, 48, 1.0, True)
    facts = Facts("mov,mp4", 60.0, (stream,), ("Video: h264",), False)
    span = Span(10, Segment(3.0, 5.0)).sought(facts)

    assert span is not None
    assert trusted(log, frames, span, stream, facts) == expected


def damaged(whole: Path, path: Path, share: float) -> Path:
    """A copy with zeros instead of 200 bytes at a share of its length."""
    data = bytearray(whole.read_bytes())
    place = int(share * len(data))
    data[place : place + 200] = bytes(200)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("name", ["closed.mp4", "open.mkv", "open.ts"])
def test_the_verdict_is_on_the_segment_alone(folder: Path, tmp_path: Path, name: str, seeks: list[bool]):
    video = damaged(folder / name, tmp_path / name, 0.5)
    whole, pictures = frames(video, tmp_path / "whole", most_damage=1)
    assert 0 < whole.damaged < 60

    segments = [Segment(n, n + 2) for n in range(0, 8, 2)]
    parts = [frames(video, tmp_path / str(n), segment, most_damage=1) for n, segment in enumerate(segments)]
    assert sum(part.damaged for part, _ in parts) == whole.damaged
    assert sum(part.decoded for part, _ in parts) >= whole.decoded  # one that is on the screen in two is of both
    assert [frame for _, its in parts for frame in its] == pictures
    assert all((part.damaged == 0) == (part.words == "") for part, _ in parts)
    worst = max(range(4), key=lambda number: parts[number][0].damaged)
    assert frames(video, tmp_path / "again", segments[worst], most_damage=1)[0] == parts[worst][0]
    half = parts[worst][0].damaged / 50 / 2
    assert refusal(video, tmp_path / "refused", segments[worst], most_damage=half).reason == "damaged"


def test_a_file_that_is_cut_is_partial_where_it_should_go_on(folder: Path, tmp_path: Path):
    data = (folder / "open.mkv").read_bytes()
    (tmp_path / "cut.mkv").write_bytes(data[: len(data) // 2])

    assert refusal(tmp_path / "cut.mkv", tmp_path / "out", Segment(6.0, 7.0)).reason == "partial"
    outcome, _ = frames(tmp_path / "cut.mkv", tmp_path / "early", Segment(1.5, 2.5))
    assert (outcome.frames, outcome.promised, outcome.words) == (30, 30, "")


def test_no_more_frames_are_written_than_a_segment_may_have(folder: Path, tmp_path: Path):
    segment = Segment(4.0, 6.0)

    assert refusal(folder / "closed.mp4", tmp_path / "a", segment, most_frames=50).reason == "too_large"
    cut, left = frames(folder / "closed.mp4", tmp_path / "b", segment, most_frames=50, too_long="cut")
    assert left == frames(folder / "closed.mp4", tmp_path / "c", segment, most_frames=60)[1][:50]
    assert (cut.frames, cut.promised) == (50, 50)
    frames(folder / "stream.mpg", tmp_path / "late", Segment(5.0, 6.0), most_frames=60)


def test_pictures_that_change_their_size_midway_are_scaled_as_in_the_whole(tmp_path: Path, seeks: list[bool]):
    for number, size in enumerate(("64x48", "96x48")):
        source = f"-f lavfi -i testsrc2=s={size}:r=25:d=4 -c:v libx264 -g 25 -pix_fmt yuv420p"
        subprocess.run([FFMPEG, "-v", "error", *source.split(), f"{number}.ts"], cwd=tmp_path, check=True)
    joined = ["-i", "concat:0.ts|1.ts", "-c", "copy", "-bsf:v", "dump_extra=freq=keyframe", "joined.mkv"]
    subprocess.run([FFMPEG, "-v", "error", *joined], cwd=tmp_path, check=True)

    _, whole = frames(tmp_path / "joined.mkv", tmp_path / "whole")
    _, part = frames(tmp_path / "joined.mkv", tmp_path / "part", Segment(6.0, 7.0))
    assert part == whole[180 - first_number(tmp_path / "joined.mkv") :][:30]
    assert seeks == [False, True, False]


def corpus(*times: tuple[float | None, float | None]) -> Manifest:
    """Videos of one file, all of it in val."""
    spans = {f"closed.mp4#{number}": pair for number, pair in enumerate(times)}
    rows = [
        VideoRecord(video, "train" if n % 2 else "test", "closed.mp4", "x", "1-a", *pair)
        for n, (video, pair) in enumerate(spans.items())
    ]
    return Manifest.from_records([*rows, VideoRecord("closed.mp4", "val", "closed.mp4", "x", "1-a")], ["x"])


def test_many_videos_of_one_file_are_extracted_each_as_its_segment(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    manifest, broken = corpus((0.0, 1.0), (2.0, 4.0), (7.5, None), (30.0, 31.0)), tmp_path / "broken.tsv"
    machine = tiny.machine(tmp_path / "work", workers=2)
    extract.extract_corpus(manifest, folder, tmp_path / "frames", broken, CONFIG, machine)

    index = tsv.read(tmp_path / "frames" / frame_index.FILE, frame_index.COLUMNS, "extract", numbers=["frames"])
    found = dict(zip(index["video"], index["frames"], strict=True))
    assert found == {"closed.mp4": 240, "closed.mp4#0": 30, "closed.mp4#1": 60, "closed.mp4#2": 15}
    assert [(row.video, row.path, row.reason) for row in read_broken(broken)] == [
        ("closed.mp4#3", "closed.mp4", "outside")
    ]
    assert (
        "broken: closed.mp4#3: outside: no frame from 30 s on, as the video ends at 8.00 s (manifest.tsv, line 5: "
        "mend its start and end in the annotations)"
    ) in caplog.text


def test_the_key_of_a_shard_has_the_times_of_segments_and_else_is_as_it_was():
    whole = Manifest.from_records([VideoRecord(f"{s}.mp4", s, f"{s}.mp4", "x", "1-a") for s in SPLITS], ["x"])
    left_out = {*extract.LIMITS, *extract.KEPT}
    settings = {name: value for name, value in dataclasses.asdict(CONFIG).items() if name not in left_out}
    rows = [[f"{s}.mp4", f"{s}.mp4", "1-a"] for s in sorted(SPLITS)]
    assert extract.plan(whole, CONFIG, "7")[0].key == files.fingerprint(extraction.FORMAT, "7", settings, rows)

    keys = [extract.plan(corpus((0.0, end), (1.0, 2.0)), CONFIG, "7")[0].key for end in (1.0, 1.5, None)]
    assert len(set(keys)) == 3
