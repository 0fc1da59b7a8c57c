"""The built-in corpus is what it says: FFmpeg reads the files, and the pixels show what the labels tell."""

import csv
import subprocess
from collections import Counter
from dataclasses import replace
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.demo import corpus as demo_corpus
from pipeline.demo.clip import BACKDROPS, CLASSES, MOTIONS, SHAPES, Scene, draw_clip, render_clip
from pipeline.demo.corpus import Clip, DemoConfig, render_corpus

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
SMALL = DemoConfig(seed=7, train=10, val=1, test=1)
GOOD = [f"train/clip_{n:04d}.mp4" for n in range(1, 11)] + ["val/clip_0001.mp4", "test/clip_0001.mp4"]
BROKEN = [f"{split}/{name}.mp4" for split, names in demo_corpus.BROKEN.items() for name in names]

Frames = NDArray[np.uint8]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("one") / "corpus"
    render_corpus(root, SMALL, workers=1, ffmpeg=FFMPEG)
    return root


def annotations(root: Path) -> list[dict[str, str]]:
    with (root / "annotations.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def decode(video: Path) -> tuple[Frames, str]:
    """What FFmpeg gets out of a file, whatever its size should be, and what FFmpeg says about it."""
    options = ["-map", "0:v", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    done = subprocess.run([FFMPEG, "-hide_banner", "-i", str(video), *options], capture_output=True)
    whole = len(done.stdout) // (96 * 144 * 3) * (96 * 144 * 3)
    frames = np.frombuffer(done.stdout[:whole], np.uint8).reshape(-1, 96, 144, 3)
    return frames, done.stderr.decode()


# The files.


@pytest.mark.slow
def test_two_runs_with_one_worker_and_with_two_give_the_same_bytes(corpus, tmp_path):
    render_corpus(tmp_path / "again", SMALL, workers=2, ffmpeg=FFMPEG)
    assert contents(tmp_path / "again") == contents(corpus)


def test_the_files_are_those_of_the_annotations_and_lie_in_the_folder_of_their_split(corpus):
    rows = annotations(corpus)
    assert [row["path"].split("/")[0] for row in rows] == [row["split"] for row in rows]
    assert sorted(row["path"] for row in rows) == sorted(GOOD + BROKEN)
    assert sorted(contents(corpus)) == sorted(["annotations.csv", *(f"videos/{path}" for path in GOOD + BROKEN)])


def test_every_row_has_labels_that_are_classes_and_train_has_them_all(corpus):
    rows = annotations(corpus)
    labels = {row["path"]: row["labels"].split(";") for row in rows}
    assert all(set(names) <= set(CLASSES) for names in labels.values())
    good = [labels[path] for path in GOOD if path.startswith("train/")]
    assert {name for names in good for name in names} == set(CLASSES)


@pytest.mark.parametrize("path", GOOD)
def test_a_clip_has_ninety_frames_of_144_by_96_that_show_its_scene(corpus, path):
    frames, report = decode(corpus / "videos" / path)
    assert frames.shape == (90, 96, 144, 3)
    assert all(fact in report for fact in ("Video: h264", "yuv420p", "144x96", "30 fps", "Duration: 00:00:03.00"))

    split, name = path.removesuffix(".mp4").split("/")
    scene = Clip(SMALL.seed, split, int(name[-4:]) - 1, name).scene()
    assert {"path": path, "labels": ";".join(scene.labels), "split": split} in annotations(corpus)
    off = np.abs(frames.astype(int) - render_clip(scene))
    assert off.mean() < 8  # compressed, at half the resolution of colour


def test_files_tell_no_date_and_no_version_of_ffmpeg(corpus):
    for path in ("train/clip_0001.mp4", "train/audio_only.mp4"):
        _, report = decode(corpus / "videos" / path)
        assert "creation_time" not in report
        assert b"Lavf" not in (corpus / "videos" / path).read_bytes()


# What is broken.


@pytest.mark.parametrize("path", BROKEN)
def test_a_broken_file_is_broken_in_the_way_that_its_name_says(corpus, path):
    video = corpus / "videos" / path
    frames, report = decode(video)
    kind = video.stem
    if kind == "cut_short":
        assert "Duration: 00:00:03.00" in report
        assert 10 < len(frames) < 80
        return
    assert len(frames) == 0
    if kind == "empty":
        assert video.stat().st_size == 0
    elif kind == "truncated":
        assert video.stat().st_size > 1000
        assert "moov atom not found" in report
    elif kind == "audio_only":
        assert "Audio: flac" in report
        assert "Video:" not in report
    else:
        assert kind == "text"
        assert video.read_text().isascii()
        assert "Invalid data found" in report


@pytest.mark.slow
def test_another_seed_gives_other_bytes_and_the_broken_files_can_be_left_out(corpus, tmp_path):
    render_corpus(tmp_path / "other", DemoConfig(8, train=10, val=0, test=0, broken=False), workers=1, ffmpeg=FFMPEG)
    assert [row["path"] for row in annotations(tmp_path / "other")] == GOOD[:10]
    these, others = contents(corpus), contents(tmp_path / "other")
    assert all(these[name] != content for name, content in others.items())


# All or nothing.


def test_a_run_that_fails_says_which_command_and_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError, match=r"libx264.*clip_0001\.mp4"):
        render_corpus(tmp_path / "corpus", SMALL, workers=1, ffmpeg="false")
    assert list(tmp_path.iterdir()) == []


def test_too_few_clips_to_train_on_are_refused():
    with pytest.raises(ValueError, match="train must be at least 10"):
        DemoConfig(train=9)


# What the numbers of many scenes say; nothing is rendered.


def scenes(count: int, seed: int = 0) -> list[Scene]:
    return [Clip(seed, "val", index, "").scene() for index in range(count)]


@pytest.mark.parametrize("seed", range(5))
def test_ten_clips_are_enough_for_every_class_whatever_the_seed(seed):
    labels = {name for index in range(10) for name in Clip(seed, "train", index, "").scene().labels}
    assert labels == set(CLASSES)


def test_another_seed_another_split_or_another_number_is_another_scene():
    clips = [Clip(0, "train", 20, ""), Clip(1, "train", 20, ""), Clip(0, "val", 20, ""), Clip(0, "train", 21, "")]
    assert len({clip.scene().noise for clip in clips}) == 4


def test_every_clip_has_a_motion_and_frequent_motions_are_four_times_as_frequent_as_rare_ones():
    drawn = scenes(2000)
    assert all(set(scene.labels) & set(MOTIONS) for scene in drawn)
    counts = Counter(name for scene in drawn for name in scene.labels)
    assert 1.9 < counts.total() / len(drawn) < 2.1
    assert [name for name, _ in counts.most_common() if name in MOTIONS][:4] == list(MOTIONS)[:4]
    assert 3.4 < counts["rising"] / counts["flickering"] < 5.4


def test_appearance_tells_nothing_about_motion():
    """In 3000 scenes, chance alone correlates two independent properties by some 0.02."""
    drawn = scenes(3000)
    motion = [[name in scene.labels for scene in drawn] for name in MOTIONS]
    look = [[name in (scene.backdrop.kind, *(t.shape for t in scene.things)) for scene in drawn]
            for name in (*SHAPES, *BACKDROPS)]  # fmt: skip
    # Two actors mean more motions and more shapes, so only clips with one actor and nothing else are compared.
    alone = [len(scene.things) == 1 for scene in drawn]
    across = np.corrcoef(np.array(motion + look)[:, alone])[: len(MOTIONS), len(MOTIONS) :]
    assert np.abs(across).max() < 0.1


# What the pixels show.


def alone(motion: str, seed: int) -> Scene:
    """A scene in which one actor makes this motion and nothing else is there."""
    rng = np.random.default_rng(seed)
    while True:
        scene = draw_clip(rng)
        if [thing.motion for thing in scene.things] == [motion]:
            return scene


def times(course: NDArray[np.floating]) -> int:
    """How often it falls by half of its range or more, and comes back."""
    low, high = course.min() + np.ptp(course) * np.array([0.25, 0.75])
    states = [value > high for value in course if not low < value < high]
    return sum(one and not other for one, other in zip(states, states[1:], strict=False))


def seen(frames: Frames) -> str:
    """The motion of the only coloured thing, by its pixels, with no knowledge of how it was rendered."""
    colour = np.ptp(frames.astype(int), axis=3)  # (T, H, W): the background is grey
    strength = np.quantile(colour, 0.995, axis=(1, 2))
    if strength.min() < 0.6 * strength.max():
        return "blinking" if times(strength) <= 3 else "flickering"
    bright = colour > 0.4 * strength.max()
    area, rows = bright.sum((1, 2)), bright.any(2)
    gap = [np.diff(np.flatnonzero(row)).max() for row in rows]  # of empty rows between rows of the thing
    if max(gap[0], gap[-1]) > 8:
        return "opening" if gap[-1] > gap[0] else "closing"
    if max(area[0], area[-1]) > 2 * min(area[0], area[-1]):
        return "growing" if area[-1] > area[0] else "shrinking"
    x, y = (np.array([np.argwhere(mask)[:, axis].mean() for mask in bright]) for axis in (1, 0))
    if abs(y[-1] - y[0]) > 14:
        return "rising" if y[-1] < y[0] else "sinking"
    if np.ptp(x) > 8 and np.ptp(y) < 6:
        return "swaying" if times(x) <= 3 else "shaking"
    return "nothing"


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("motion", MOTIONS)
def test_the_pixels_show_the_motion_also_in_a_mirror(motion, mirrored):
    for seed in range(3):
        frames = render_clip(alone(motion, seed))
        assert seen(frames[:, :, ::-1] if mirrored else frames) == motion


@pytest.mark.parametrize(("motion", "backwards"), [("rising", "sinking"), ("growing", "shrinking"),
                                                   ("opening", "closing")])  # fmt: skip
def test_played_backwards_a_motion_is_its_opposite_so_that_only_the_order_tells_them_apart(motion, backwards):
    assert seen(render_clip(alone(motion, 0))[::-1]) == backwards


@pytest.mark.parametrize("name", SHAPES)
def test_a_shape_is_its_own_mirror_image(name):
    u, v = np.random.default_rng(0).uniform(-1.2, 1.2, (2, 1000))
    np.testing.assert_allclose(SHAPES[name](u, v), SHAPES[name](-u, v), atol=1e-12)


@pytest.mark.parametrize(
    ("name", "inside", "outside"),
    [
        ("cross", [(0, 0), (0.9, 0), (0, -0.9)], [(0.5, 0.5), (-0.5, 0.5), (1.1, 0)]),
        ("ring", [(0.8, 0), (0, -0.8), (0.55, 0.55)], [(0, 0), (0.3, 0.3), (1.1, 0)]),
        ("disc", [(0, 0), (0.65, 0.65), (0, -0.9)], [(0.8, 0.8), (1.1, 0)]),
        ("square", [(0, 0), (0.8, 0.8), (-0.8, 0.8)], [(0.9, 0), (0, -0.9)]),
        ("triangle", [(0, 0), (0, -0.9), (0.7, 0.4)], [(0.5, -0.5), (-0.5, -0.5), (0, 0.6)]),
        ("star", [(0, 0), (0, -0.9), (0.85, -0.27), (0.5, 0.7)], [(0, 0.6), (0.5, -0.5), (0.9, 0.2)]),
    ],
)
def test_a_shape_covers_what_its_name_says(name, inside, outside):
    distance = [SHAPES[name](np.array(float(u)), np.array(float(v))) for u, v in inside + outside]
    assert [bool(d < 0) for d in distance] == [True] * len(inside) + [False] * len(outside)


@pytest.mark.parametrize(("kind", "alike"), [("plain", (0.8, 1)), ("striped", (0, 0.15)), ("checkered", (0.5, 1))])
def test_grey_changes_in_one_direction_in_stripes_and_in_two_in_checks(kind, alike):
    """How alike the strongest and the weakest direction are; in plain grey there is only noise."""
    for scene in [scene for scene in scenes(60) if scene.backdrop.kind == kind][:3]:
        grey = render_clip(replace(scene, things=())).mean((0, 3))
        down, across = (change.ravel() for change in np.gradient(grey))
        weakest, strongest = np.linalg.eigvalsh(np.cov(down, across))
        assert alike[0] <= weakest / strongest <= alike[1]
        assert (strongest > 1) == (kind != "plain")
