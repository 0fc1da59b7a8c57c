"""What FFmpeg makes of a file's sound is what was played, and a file without sound is told from a damaged one."""

import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.clips.sound_store import RATE
from pipeline.core.segments import Segment
from pipeline.extraction.config import ExtractConfig
from pipeline.extraction.outcome import NoFrames
from pipeline.sound.decode import decode
from tests.support.corpus import FFMPEG

CONFIG = ExtractConfig(fps=30, short_side=32, jpeg_qscale=5, timeout_seconds=60, shards=1)
PICTURE = "-f lavfi -i testsrc2=s=64x48:r=25:d=4"
STEPS = (
    "-f lavfi -i aevalsrc=exprs=0.5*sin(2*PI*t*(200+200*floor(t))):s=44100:d=4"  # 200 Hz, 400, 600, 800: a second each
)
H264 = "-c:v libx264 -g 25 -pix_fmt yuv420p"
MADE = {
    "steps.mkv": f"{PICTURE} {STEPS} {H264} -c:a flac",
    "stereo.mp4": f"{PICTURE} {STEPS} {H264} -c:a aac -ac 2",
    "opus.webm": f"{PICTURE} {STEPS} -c:v libvpx-vp9 -deadline realtime -cpu-used 8 -c:a libopus",
    "late.mkv": "-i steps.mkv -itsoffset 1 -i steps.mkv -map 0:v -map 1:a -c copy",
    "mute.mp4": f"{PICTURE} {H264} -an",
    "only.wav": f"{STEPS}",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All of `MADE`."""
    made = tmp_path_factory.mktemp("heard")
    for name, options in MADE.items():
        subprocess.run([FFMPEG, "-v", "error", *options.split(), "-threads", "1", name], cwd=made, check=True)
    return made


def heard(path: Path, where: Path, segment: Segment | None = None, **settings: object) -> np.ndarray:
    into = where / "into"
    into.mkdir()
    return decode(path, into, replace(CONFIG, **settings), FFMPEG, segment)


def loudest(sound: np.ndarray, start: float, seconds: float = 0.5) -> float:
    """The frequency in Hz that is loudest in a part of a sound."""
    part = sound[round(start * RATE) : round((start + seconds) * RATE)].astype(float)
    return float(np.argmax(np.abs(np.fft.rfft(part))) / seconds)


@pytest.mark.parametrize("name", ["steps.mkv", "stereo.mp4", "opus.webm", "only.wav"])
def test_it_is_what_was_played(folder, tmp_path, name):
    sound = heard(folder / name, tmp_path)
    assert sound.dtype == np.int16
    assert len(sound) == pytest.approx(4 * RATE, abs=0.03 * RATE)  # what the encoders put before and after it
    assert [loudest(sound, n + 0.25) for n in range(4)] == [200, 400, 600, 800]
    level = 0.5 * (0.5**0.5 if name == "stereo.mp4" else 1)  # FFmpeg shared out its power among the two channels
    assert np.abs(sound).max() == pytest.approx(level * 2**15, rel=0.1)


@pytest.mark.parametrize("name", ["steps.mkv", "stereo.mp4", "opus.webm"])
@pytest.mark.parametrize("start", [0.0, 0.5, 2.0])
def test_a_segment_is_that_span_of_the_whole(folder, tmp_path, name, start):
    part = heard(folder / name, tmp_path, Segment(start, start + 1.5))
    assert len(part) == pytest.approx(1.5 * RATE, abs=0.03 * RATE)
    whole = [200 * (1 + int(start + at)) for at in (0.1, 1.1)]
    assert [loudest(part, at, 0.3) for at in (0.1, 1.1)] == pytest.approx(whole, abs=4)


def test_a_segment_after_a_seek_has_the_samples_of_decoding_all(folder, tmp_path):
    (tmp_path / "a").mkdir()
    sought = heard(folder / "steps.mkv", tmp_path, Segment(2.0, 3.0))  # FLAC: no sample leans on earlier ones
    cut = tmp_path / "cut.wav"
    call = f"-i {folder / 'steps.mkv'} -map 0:a -af atrim=start=2:end=3,asetpts=PTS-STARTPTS -ar {RATE} {cut}"
    subprocess.run([FFMPEG, "-v", "error", *call.split()], check=True)
    assert np.array_equal(sought, heard(cut, tmp_path / "a"))


def test_a_sound_that_begins_late_stands_where_it_is_heard(folder, tmp_path):
    with pytest.raises(NoFrames, match=r"no sound from 0 to 0.9 s") as none:
        heard(folder / "late.mkv", tmp_path, Segment(0.0, 0.9))
    assert none.value.reason == "outside"
    (tmp_path / "b").mkdir()
    assert loudest(heard(folder / "late.mkv", tmp_path / "b", Segment(1.2, 1.9)), 0.1) == pytest.approx(200, abs=4)


def test_a_file_without_a_sound_track_says_so(folder, tmp_path):
    with pytest.raises(NoFrames, match="no stream of sound, but Video: h264") as none:
        heard(folder / "mute.mp4", tmp_path)
    assert none.value.reason == "no_audio"
    assert not none.value.again


def test_what_is_no_video_is_told_from_one_without_sound(tmp_path):
    (tmp_path / "text.mp4").write_text("no video at all\n" * 100)
    with pytest.raises(NoFrames) as none:
        heard(tmp_path / "text.mp4", tmp_path)
    assert none.value.reason == "not_a_video"


def test_a_sound_that_does_not_decode_is_no_silence(folder, tmp_path):
    content = bytearray((folder / "steps.mkv").read_bytes())
    noise = np.random.default_rng(0).integers(0, 256, len(content) * 3 // 4, np.uint8).tobytes()
    content[len(content) // 8 : len(content) // 8 + len(noise)] = noise
    (tmp_path / "noise.mkv").write_bytes(content)
    with pytest.raises(NoFrames) as none:
        heard(tmp_path / "noise.mkv", tmp_path)
    assert none.value.reason in ("damaged", "partial")


def test_no_picture_is_decoded_for_it(folder, tmp_path):
    """Damage in pictures is none of the sound; `pipeline serve` hears files whose pictures it takes as too large."""
    call = f"-v error -i {folder / 'steps.mkv'} -c copy -bsf:v noise=amount=1 {tmp_path / 'rubbish.mkv'}"
    subprocess.run([FFMPEG, *call.split()], check=True)
    shown = f"-v error -max_error_rate 0 -i {tmp_path / 'rubbish.mkv'} -map 0:v -f null -"
    assert subprocess.run([FFMPEG, *shown.split()], check=False, capture_output=True).returncode != 0
    sound = heard(tmp_path / "rubbish.mkv", tmp_path, most_damage=0.0)
    (tmp_path / "b").mkdir()
    assert np.array_equal(sound, heard(folder / "steps.mkv", tmp_path / "b"))


def test_a_sound_that_is_cut_short_is_partial(folder, tmp_path):
    content = (folder / "steps.mkv").read_bytes()
    (tmp_path / "cut.mkv").write_bytes(content[: len(content) // 2])
    with pytest.raises(NoFrames, match=r"of 4.0 s of sound") as none:
        heard(tmp_path / "cut.mkv", tmp_path)
    assert none.value.reason == "partial"


def test_a_sound_that_is_too_long_is_refused_or_cut(folder, tmp_path):
    with pytest.raises(NoFrames, match=r"more than 2 s of sound") as none:
        heard(folder / "steps.mkv", tmp_path, most_frames=60)
    assert none.value.reason == "too_large"
    (tmp_path / "b").mkdir()
    cut = heard(folder / "steps.mkv", tmp_path / "b", most_frames=60, too_long="cut")
    assert len(cut) == 2 * RATE
