"""The small corpora that docs/small.md measures on are what they say: readable, seeded, and of reversed pairs."""

import csv
import importlib
import subprocess
import sys
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks" / "corpora"
REAL = {"talker", "playback"}  # of clips that the user has


@pytest.fixture
def script(monkeypatch):
    """Imports a script of the folder, which is no package, by its name."""
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module


def ffmpeg(*options):
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", *map(str, options)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout


def greys(path):
    """The mean grey of each frame of a video."""
    raw = ffmpeg("-i", path, "-vf", "scale=8:8", "-f", "rawvideo", "-pix_fmt", "gray", "-")
    return np.frombuffer(raw, np.uint8).reshape(-1, 64).mean(1)


def brightening(path, seconds=3):
    """Write a video that becomes brighter from its first to its last frame."""
    ffmpeg("-f", "lavfi", "-i", f"color=black:s=360x288:r=25:d={seconds},geq=lum=N*3:cb=128:cr=128", "-y", path)


def rows(folder):
    with (folder / "labels.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


@pytest.mark.parametrize("label", ["swipe_left", "circle_counterclockwise"])
def test_a_gesture_is_its_partner_backwards(script, label):
    gestures = script("gestures")
    backwards, _ = gestures.render(gestures.Clip(0, 5, label))
    forwards, _ = gestures.render(gestures.Clip(0, 5, gestures.REVERSAL[label]))
    np.testing.assert_array_equal(backwards, forwards[::-1])
    assert not np.array_equal(forwards, backwards)


@pytest.mark.parametrize("side", [-1, 1])
@pytest.mark.parametrize(
    ("gesture", "measure"),
    [
        ("swipe_right", lambda at, size, side: at[0]),
        ("raise_arm", lambda at, size, side: -at[1]),
        ("open_arms", lambda at, size, side: side * at[0]),
        ("push_hand", lambda at, size, side: size),
    ],
)
def test_a_stroke_goes_where_its_name_says(script, gesture, measure, side):
    gestures = script("gestures")
    stroke = gestures.draw_stroke(np.random.default_rng(0), gesture, side, seconds=3, speed=1)
    begin = stroke.start + stroke.approach
    way = [measure(*gestures.hand(stroke, now), side) for now in np.linspace(begin, begin + stroke.length, 9)]
    assert (np.diff(way) > 0).all()


@pytest.mark.parametrize("side", [-1, 1])
def test_a_circle_is_clockwise_for_who_watches_it(script, side):
    gestures = script("gestures")
    stroke = gestures.draw_stroke(np.random.default_rng(0), "circle_clockwise", side, seconds=3, speed=1)
    begin = stroke.start + stroke.approach
    way = np.array([gestures.hand(stroke, now)[0] for now in np.linspace(begin, begin + stroke.length, 50)])
    step, turn = np.diff(way, axis=0)[:-1], np.diff(way, n=2, axis=0)
    assert (step[:, 0] * turn[:, 1] - step[:, 1] * turn[:, 0] > 0).all()  # y points down


def test_people_make_all_gestures_about_equally_often(script):
    gestures = script("gestures")
    clips = gestures.draw_clips(0, 240)
    counts = [sum(clip.label == label for clip in clips) for label in gestures.CLASSES]
    assert (len(counts), min(counts), max(counts), sum(counts)) == (11, 21, 22, 240)
    assert len({clip.group for clip in clips}) == 20


def test_the_seed_is_all_that_decides(script):
    gestures = script("gestures")
    one, again, other = (gestures.render(gestures.Clip(seed, 3, "wave"))[0] for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, again)
    assert one.shape != other.shape or not np.array_equal(one, other)


def test_a_scene_backwards_has_the_tags_of_what_it_shows_then(script):
    scenes = script("scenes")
    number = next(n for n in range(99) if "falling" in scenes.draw_scene(np.random.default_rng([0, n])).tags)
    forwards, _, tags = scenes.render(scenes.Clip(0, number))
    backwards, _, others = scenes.render(scenes.Clip(0, number, backwards=True))
    np.testing.assert_array_equal(backwards, forwards[::-1])
    assert "rising" in others
    assert "falling" not in others
    assert {scenes.REVERSAL.get(tag, tag) for tag in others} == set(tags)


@pytest.mark.parametrize(
    ("motion", "column", "sign"), [("falling", 1, 1), ("rising", 1, -1), ("growing", 2, 1), ("shrinking", 2, -1)]
)
def test_an_object_moves_as_its_tag_says(script, motion, column, sign):
    scenes = script("scenes")
    thing = scenes.Thing("ball", motion, 0.1, 0.0, 0.3, begin=0.2, end=0.8, extent=1.0, side=1, phase=0.0)
    way = np.array([scenes.state(thing, now, 3)[column] for now in np.linspace(0.2, 0.8, 9)])
    assert (sign * np.diff(way) > 0).all()


def test_every_tag_of_the_scenes_has_clips_to_learn_from(script):
    scenes = script("scenes")
    tags = [scenes.draw_scene(np.random.default_rng([0, number])).tags for number in range(250)]
    counts = [sum(tag in words for words in tags) for tag in scenes.CLASSES]
    assert (len(counts), min(counts), max(counts)) == (20, 22, 101)
    assert {len(words) for words in tags} <= {2, 3, 4, 5, 6}


def test_the_name_of_a_grid_file_is_its_words(script):
    talker = script("talker")
    assert talker.labels_of("bbaf2n", ["command", "colour", "preposition", "adverb"]) == "bin;blue;at;now"
    assert talker.labels_of("swwz9p", ["adverb", "command"]) == "please;set"


def test_a_real_clip_is_played_as_its_label_says(script, tmp_path):
    playback = script("playback")
    brightening(tmp_path / "source.avi")
    (tmp_path / "out").mkdir()
    for label, sign in (("forwards", 1), ("backwards", -1)):
        clip = playback.Clip(tmp_path / "source.avi", label, True, start=0.5, zoom=0.9, x=0.2, y=0.7, crf=23)
        assert playback.write(tmp_path / "out", clip) == ("source.mp4", label)
        frames = greys(tmp_path / "out" / "source.mp4")
        assert len(frames) == 40
        assert sign * (frames[-1] - frames[0]) > 50


def test_no_real_clip_is_played_twice_and_both_ways_are_as_frequent(script):
    playback = script("playback")
    clips = playback.draw_clips([Path(f"{n}.mp4") for n in range(30)], seed=0, count=20)
    assert len({clip.source for clip in clips}) == 20
    assert sorted(clip.label for clip in clips) == ["backwards"] * 10 + ["forwards"] * 10


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("gestures", ["path", "label", "group"]),
        ("scenes", ["path", "labels"]),
        ("talker", ["path", "labels"]),
        ("playback", ["path", "label"]),
    ],
)
def test_a_corpus_is_a_csv_and_the_files_that_it_names(tmp_path, name, header):
    (grid := tmp_path / "grid").mkdir()
    for word in ("bbaf2n", "lgbf8n", "swwz9a"):
        brightening(grid / f"{word}.mpg")
    source = [str(grid)] if name in REAL else []
    subprocess.run([sys.executable, FOLDER / f"{name}.py", *source, tmp_path / "out", "--clips", "3"], check=True)
    first, *others = rows(tmp_path / "out")
    assert first == header
    assert len(others) == 3
    assert all(len(greys(tmp_path / "out" / row[0])) >= 20 for row in others)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(REAL))
def test_too_few_real_clips_are_said_before_anything_is_written(tmp_path, name):
    command = [sys.executable, FOLDER / f"{name}.py", tmp_path, tmp_path / "out"]
    done = subprocess.run(command, capture_output=True, encoding="utf-8")
    assert done.returncode == 2
    assert "fewer than --clips 250" in done.stderr
    assert not (tmp_path / "out").exists()


def test_shuffled_labels_are_the_same_ones_on_other_clips(script, tmp_path):
    (tmp_path / "corpus").mkdir()
    rows = [{"path": f"{n}.mp4", "label": f"class {n % 4}", "group": str(n // 2)} for n in range(40)]
    with (tmp_path / "corpus/labels.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    for row in rows:
        (tmp_path / "corpus" / row["path"]).touch()
    command = [sys.executable, str(FOLDER / "shuffle.py"), str(tmp_path / "corpus"), str(tmp_path / "out")]
    subprocess.run(command, check=True)
    with (tmp_path / "out/labels.csv").open(newline="") as file:
        found = list(csv.DictReader(file))
    assert [(row["path"], row["group"]) for row in found] == [(row["path"], row["group"]) for row in rows]
    assert sorted(row["label"] for row in found) == sorted(row["label"] for row in rows)
    kept = sum(row["label"] == other["label"] for row, other in zip(found, rows, strict=True))
    assert kept < 25, "a quarter stays where it was by chance"
    assert (tmp_path / "out/39.mp4").is_file()
