"""Corpus `gestures`: drawn people who make one of eleven gestures, of which ten are each other's reversal.

    python benchmarks/corpora/gestures.py OUT --seed 0

OUT/labels.csv has the columns path,label,group; a group is a person, with a look, a camera and two places of its own.
A gesture of a pair IS the other one played backwards, so neither a frame nor a bag of frames tells them apart.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import footage
import numpy as np
import place
from footage import Array, Random
from numpy.typing import NDArray
from person import Look, Pose, draw_look, draw_person
from PIL import Image, ImageDraw

REVERSAL = {  # a gesture that is drawn as what another one is backwards
    "swipe_left": "swipe_right",
    "lower_arm": "raise_arm",
    "close_arms": "open_arms",
    "pull_hand": "push_hand",
    "circle_counterclockwise": "circle_clockwise",
}
CLASSES = (*REVERSAL, *REVERSAL.values(), "wave")
CLIPS_OF_A_PERSON = 12


@dataclass(frozen=True)
class Clip:
    """What a clip follows from."""

    seed: int
    number: int
    label: str

    @property
    def group(self) -> int:
        """The person in it."""
        return self.number // CLIPS_OF_A_PERSON


@dataclass(frozen=True)
class Subject:
    """What a person brings to all clips."""

    look: Look
    device: footage.Device
    places: tuple[Image.Image, Image.Image]
    speed: float
    side: int  # of the hand that it prefers, in the image: 1 is right


@dataclass(frozen=True)
class Stroke:
    """How a person makes a gesture this time. Times run from 0 to 1 over the clip."""

    gesture: str
    side: int
    start: float
    approach: float
    length: float
    retreat: float
    size: float  # of the movement; 1 is usual
    tilt: float
    turns: float
    phase: float


def draw_subject(seed: int, group: int) -> Subject:
    """The person of a group."""
    rng = np.random.default_rng([seed, 1, group])
    device = footage.draw_device(rng)
    kinds = rng.choice(["indoor", "indoor", "outdoor"], 2)
    places = tuple(place.paint_place(rng, device, str(kind)) for kind in kinds)
    side = int(rng.choice([-1, -1, -1, 1]))
    return Subject(draw_look(rng), device, places, float(rng.uniform(0.8, 1.3)), side)


def draw_stroke(rng: Random, gesture: str, side: int, seconds: float, speed: float) -> Stroke:
    """Random timing and size; the way to the gesture and back are drawn alike, as are the pauses before and after."""
    whole = min(seconds * rng.uniform(0.8, 0.98), rng.uniform(1.5, 2.4) / speed) / seconds
    approach, retreat = whole * rng.uniform(0.15, 0.25, 2)
    return Stroke(
        gesture,
        side,
        start=rng.uniform(0, 1 - whole),
        approach=approach,
        length=whole - approach - retreat,
        retreat=retreat,
        size=rng.uniform(0.8, 1.2),
        tilt=rng.normal(0, 0.15),
        turns=rng.uniform(1.5, 2.5),
        phase=rng.uniform(0, 2 * math.pi),
    )


def _ease(x: float) -> float:
    x = min(max(x, 0.0), 1.0)
    return x * x * (3 - 2 * x)


def _path(stroke: Stroke, q: float) -> tuple[Array, float]:
    """Where the hand is when a share q of the gesture is made, (2,) in heads, and how large it looks."""
    side, size = stroke.side, stroke.size
    match stroke.gesture:
        case "swipe_right":
            return np.array([0.5 * side + (q - 0.5) * 3.2 * size, 0.3 + stroke.tilt * (q - 0.5) * 2]), 1.15
        case "raise_arm":
            angle = 0.25 + q * (2.4 + 0.3 * size)
            return np.array([side * (0.9 + 2.3 * math.sin(angle)), 2.4 * math.cos(angle)]), 1.0
        case "open_arms":
            return np.array([side * (0.2 + q * 2.6 * size), 0.7 - 0.5 * q + stroke.tilt]), 1.1
        case "push_hand":
            return np.array([side * (1.0 - 0.6 * q), 0.75 - 0.35 * q + stroke.tilt]), 0.85 + 1.5 * q * size
        case "circle_clockwise":
            angle = stroke.phase + 2 * math.pi * stroke.turns * q
            return np.array([0.9 * side, 0.2]) + 0.85 * size * np.array([math.cos(angle), math.sin(angle)]), 1.15
        case _:
            swing = math.sin(2 * math.pi * (stroke.turns + 1) * q + stroke.phase)
            return np.array([side * 1.7 + 0.6 * size * swing, -0.9 + 0.12 * abs(swing)]), 1.0


def hand(stroke: Stroke, now: float) -> tuple[Array, float]:
    """Where the hand that makes the gesture is, and how large it looks, at a time from 0 to 1."""
    rest = np.array([stroke.side * 1.2, 2.5])
    begin = stroke.start + stroke.approach
    end = begin + stroke.length
    there, size = _path(stroke, _ease((now - begin) / stroke.length))
    if stroke.gesture == "raise_arm":  # begins where the arm hangs, and ends up there
        return there, size
    raised = _ease((now - stroke.start) / stroke.approach) * _ease(1 - (now - end) / stroke.retreat)
    return rest + raised * (there - rest), 1 + raised * (size - 1)


def pose(stroke: Stroke, now: float, sway: Array) -> Pose:
    """The whole body at a time; `sway` is (3,): lean, nod and how far the idle hand strays, in heads."""
    (at, size), side = hand(stroke, now), stroke.side
    idle, idle_size = (-side * 1.2 + sway[2], 2.5), 1.0
    if stroke.gesture == "open_arms":
        idle, idle_size = (-at[0] + sway[2], at[1] + sway[2]), size
    ends, sizes = ((idle, tuple(at)), (idle_size, size)) if side > 0 else ((tuple(at), idle), (size, idle_size))
    return Pose(*ends, *sizes, lean=float(sway[0]), nod=float(sway[1]))


def render(clip: Clip) -> tuple[NDArray[np.uint8], footage.Device]:
    """The frames of a clip, (T, H, W, 3), and the device that records them.

    The label does not enter the random numbers, so a clip of a pair's other gesture has the same frames, backwards.
    """
    person = draw_subject(clip.seed, clip.group)
    rng = np.random.default_rng([clip.seed, 2, clip.number])
    device, seconds = person.device, rng.uniform(1.5, 4)
    side = person.side if rng.random() < 0.8 else -person.side
    stroke = draw_stroke(rng, REVERSAL.get(clip.label, clip.label), side, seconds, person.speed)
    views = footage.camera_path(rng, device, round(seconds * device.fps))
    head = rng.uniform(0.15, 0.215)
    middle = np.array([rng.uniform(-0.12, 0.12), rng.uniform(-0.12, 0.02)])
    sway = np.array([[0.06], [0.05], [0.08]]) * [footage.smooth_noise(rng, len(views), device.fps) for _ in range(3)]
    backdrop, crowd = person.places[rng.integers(2)], place.draw_passers_by(rng)
    corner = float(rng.choice([-1, 1])) if rng.random() < 0.25 else 0.0
    dark = footage.draw_colour(rng, 10, 90)

    def draw(view: footage.View, now: float) -> Image.Image:
        image = view.backdrop(backdrop)
        brush = ImageDraw.Draw(image)
        for passer_by in crowd:
            passer_by.draw(brush, view, now)
        drift = sway[:, int(now * len(views))]
        draw_person(image, view, person.look, pose(stroke, now, drift), middle, head)
        if corner:
            place.draw_occluder(brush, view, corner, dark)
        return image

    frames = footage.develop(footage.film(views, draw), device, rng)
    return (frames[::-1] if clip.label in REVERSAL else frames), device


def draw_clips(seed: int, count: int) -> list[Clip]:
    """The clips of the corpus: classes in turn, shuffled, so that each person makes about all gestures."""
    rng = np.random.default_rng([seed, 0])
    rounds = [rng.permutation(CLASSES) for _ in range(-(-count // len(CLASSES)))]
    return [Clip(seed, number, str(label)) for number, label in enumerate(np.concatenate(rounds)[:count])]


def write(out: Path, clip: Clip) -> tuple[str, str, str]:
    """Write one clip; its line of the CSV. Its name says nothing of its label."""
    frames, device = render(clip)
    name = f"{clip.number:04d}{device.suffix}"
    footage.encode(out / name, frames, device)
    return name, clip.label, f"person{clip.group:02d}"


if __name__ == "__main__":
    given = footage.arguments(__doc__, clips=240)
    clips = draw_clips(given.seed, given.clips)
    footage.write_corpus(given.out, ("path", "label", "group"), clips, write, given.workers)
