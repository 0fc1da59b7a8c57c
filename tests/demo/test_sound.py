"""What is heard follows what is seen, and reaches the files without a loss."""

import subprocess
from dataclasses import replace
from functools import cache

import imageio_ffmpeg
import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.demo.clip import HEIGHT, Thing, Track, draw_clip
from pipeline.demo.corpus import Clip, DemoConfig, render_corpus
from pipeline.demo.sound import RATE, render_sound, silent

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
STILL = {"x": 72.0, "y": HEIGHT / 2, "radius": 16.0, "gap": 0.0, "opacity": 1.0}
SCENE = draw_clip(np.random.default_rng(0))
FORTH = np.linspace(0, 1, 90)


def heard(noise: int | None = None, **moved: NDArray[np.floating]) -> NDArray[np.floating]:
    """The sound of a scene with one thing of which all but `moved` stands still."""
    track = Track(**{name: moved.get(name, np.full(90, value)) for name, value in STILL.items()})
    alone = replace(SCENE, things=(Thing("disc", "", (0, 0, 0), track),), noise=quiet() if noise is None else noise)
    return render_sound(alone).astype(float)


@cache
def quiet() -> int:
    """A seed by which the thing is not mute, and little noise is heard beside it."""

    def clear(noise: int) -> float:
        loud = np.abs(np.fft.rfft(heard(noise)))
        return float(loud.max() / np.median(loud))

    return max(range(30), key=clear)


def pitch(sound: NDArray[np.floating]) -> float:
    """The strongest frequency, in Hz."""
    return float(np.abs(np.fft.rfft(sound)).argmax() * RATE / len(sound))


def halves(sound: NDArray[np.floating]) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """A quarter of a second after the start, and before the end."""
    return sound[2_000:6_000], sound[-6_000:-2_000]


def test_a_thing_that_rises_hums_higher_and_one_that_sinks_lower():
    rises = halves(heard(y=HEIGHT / 2 + 20 - 40 * FORTH))  # up by 40 pixels: an octave
    sinks = halves(heard(y=HEIGHT / 2 - 20 + 40 * FORTH))
    assert pitch(rises[1]) / pitch(rises[0]) == pytest.approx(2 ** (1 - 1 / 6), rel=0.03)  # a sixth is cut off
    assert pitch(sinks[0]) / pitch(sinks[1]) == pytest.approx(2 ** (1 - 1 / 6), rel=0.03)


def test_a_thing_that_grows_hums_louder():
    start, end = halves(heard(radius=8 + 16 * FORTH))
    assert end.std() > 3 * start.std()


def test_a_thing_that_opens_hums_a_fifth_as_well():
    start, end = halves(heard(gap=30 * FORTH))
    base = round(pitch(start) * len(start) / RATE)  # number of the frequency

    def fifth(sound: NDArray[np.floating]) -> float:
        loud = np.abs(np.fft.rfft(sound))
        near = round(1.5 * base)
        return float(loud[near - 2 : near + 3].max() / loud[base - 1 : base + 2].max())

    assert fifth(start) < 0.3
    assert fifth(end) > 0.6


def test_what_cannot_be_seen_is_silent():
    start, end = halves(heard(opacity=1 - FORTH))
    assert start.std() > 3 * end.std()


def test_some_clips_have_no_sound_track():
    scenes = [draw_clip(np.random.default_rng(seed)) for seed in range(1_000)]
    assert 50 < sum(silent(scene) for scene in scenes) < 110


@pytest.mark.slow
def test_the_files_hold_the_very_samples(tmp_path):
    config = DemoConfig(seed=7, train=10, val=1, test=0, broken=False)
    render_corpus(tmp_path / "corpus", config, workers=1, ffmpeg=FFMPEG)
    for index in range(10):
        scene = Clip(config.seed, "train", index, "").scene()
        file = tmp_path / f"corpus/videos/train/clip_{index + 1:04d}.mp4"
        command = [FFMPEG, "-v", "error", "-i", str(file), "-map", "0:a?", "-f", "s16le", "-"]
        samples = np.frombuffer(subprocess.run(command, capture_output=True).stdout, "<i2")
        np.testing.assert_array_equal(samples, [] if silent(scene) else render_sound(scene))
