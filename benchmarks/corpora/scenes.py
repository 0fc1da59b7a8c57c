"""Corpus `scenes`: places and moving objects with two to six of twenty tags, from frequent to rare.

    python benchmarks/corpora/scenes.py OUT --seed 0

OUT/labels.csv has the columns path,labels (separated by ";"). Tags of a frame: `indoor`, `outdoor`, `water`, `night`
and the objects. Tags of the order of frames: `rising`, `falling`, `growing`, `shrinking`, `enters`, `leaves`, and the
camera's `pan_left`, `pan_right`. Tags of change alone: `rotating`, `shaking`. What an object is, how it moves and where
it does are drawn independently, so that no tag can be guessed from another one. Objects that stand still are tagged
too.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import footage
import numpy as np
import objects
import place
from footage import Random
from numpy.typing import NDArray
from PIL import Image, ImageDraw

PLACES = {"outdoor": 0.42, "indoor": 0.34, "water": 0.14, "night": 0.1}
OBJECTS = {"ball": 0.26, "car": 0.2, "tree": 0.17, "box": 0.16, "animal": 0.13, "boat": 0.08}
MOTIONS = {
    "": 0.16,
    "falling": 0.17,
    "rising": 0.14,
    "growing": 0.11,
    "rotating": 0.1,
    "shrinking": 0.09,
    "shaking": 0.08,
    "enters": 0.08,
    "leaves": 0.07,
}
PANS = {"": 0.76, "pan_right": 0.14, "pan_left": 0.1}
CLASSES = tuple(tag for words in (PLACES, OBJECTS, MOTIONS, PANS) for tag in words if tag)
REVERSAL = {"falling": "rising", "growing": "shrinking", "enters": "leaves", "pan_left": "pan_right"}
REVERSAL |= {later: tag for tag, later in REVERSAL.items()}


@dataclass(frozen=True)
class Clip:
    """What a clip follows from; played backwards, it bears the tags that `REVERSAL` gives for its own."""

    seed: int
    number: int
    backwards: bool = False


@dataclass(frozen=True)
class Thing:
    """An object and what it does. Lengths in frame heights, times from 0 to 1 over the clip."""

    kind: str
    motion: str
    x: float
    y: float
    size: float
    begin: float
    end: float
    extent: float  # of the motion; 1 is usual
    side: int  # that it enters from or leaves to: 1 is right
    phase: float


@dataclass(frozen=True)
class Scene:
    """All that a clip shows."""

    place: str
    pan: str
    things: tuple[Thing, ...]
    seconds: float

    @property
    def tags(self) -> list[str]:
        """In the order of `CLASSES`."""
        words = {self.place, self.pan} | {word for thing in self.things for word in (thing.kind, thing.motion)}
        return [tag for tag in CLASSES if tag in words]


def _choose(rng: Random, words: dict[str, float], count: int = 1) -> list[str]:
    return [str(word) for word in rng.choice([*words], count, replace=False, p=[*words.values()])]


def draw_scene(rng: Random) -> Scene:
    """A random scene: 60 % with one object, the others with two that differ in kind and in motion."""
    count = 1 if rng.random() < 0.6 else 2
    kinds, motions = _choose(rng, OBJECTS, count), _choose(rng, MOTIONS, count)
    lanes = rng.permutation([-0.3, 0.3]) + rng.uniform(-0.06, 0.06, 2) if count == 2 else rng.uniform(-0.25, 0.25, 1)
    things = tuple(_thing(rng, kind, motion, x) for kind, motion, x in zip(kinds, motions, lanes, strict=True))
    [where], [pan] = _choose(rng, PLACES), _choose(rng, PANS)
    return Scene(where, pan, things, float(rng.uniform(1.5, 4)))


def _thing(rng: Random, kind: str, motion: str, x: float) -> Thing:
    length = rng.uniform(0.4, 0.8)
    begin = rng.uniform(0.05, 0.95 - length)
    return Thing(
        kind,
        motion,
        float(x),
        y=float(rng.uniform(-0.1, 0.15)),
        size=float(rng.uniform(0.24, 0.42)),
        begin=float(begin),
        end=float(begin + length),
        extent=float(rng.uniform(0.8, 1.2)),
        side=int(rng.choice([-1, 1])),
        phase=float(rng.uniform(0, 2 * math.pi)),
    )


def state(thing: Thing, now: float, seconds: float) -> tuple[float, float, float, float]:
    """Where an object is, how large, and its angle in degrees, at a time from 0 to 1: x, y, size, angle."""
    share = min(max((now - thing.begin) / (thing.end - thing.begin), 0.0), 1.0)
    share = share * share * (3 - 2 * share)
    x, y, size, angle = thing.x, thing.y, thing.size, 0.0
    match thing.motion:
        case "falling" | "rising":
            y = (share - 0.5) * 0.65 * thing.extent * (1 if thing.motion == "falling" else -1)
        case "growing" | "shrinking":
            bigger = share if thing.motion == "growing" else 1 - share
            size = thing.size * (0.5 + bigger * thing.extent)
        case "enters" | "leaves":
            away = 1 - share if thing.motion == "enters" else share
            x += away * thing.side * 1.4
        case "rotating":
            angle = 360 * share * thing.extent * (1 if thing.side > 0 else -1) + math.degrees(thing.phase)
        case "shaking":
            x += 0.06 * thing.extent * math.sin(2 * math.pi * (2.5 * now * seconds) + thing.phase)
    return x, y, size, angle


def _paste(image: Image.Image, view: footage.View, painted: Image.Image, at: tuple[float, float, float, float]) -> None:
    x, y, size, angle = at
    side = max(2, round(size * view.scale))
    small = painted.resize((side, side))
    if angle:
        small = small.rotate(angle, Image.Resampling.BILINEAR)
    left, top = view.at((x, y))
    image.paste(small, (round(left - side / 2), round(top - side / 2)), small)


def render(clip: Clip) -> tuple[NDArray[np.uint8], footage.Device, list[str]]:
    """The frames of a clip, (T, H, W, 3), the device that records them, and the tags."""
    rng = np.random.default_rng([clip.seed, clip.number])
    scene, device = draw_scene(rng), footage.draw_device(rng)
    backdrop = place.paint_place(rng, device, scene.place)
    painted = [objects.paint_object(rng, thing.kind) for thing in scene.things]
    pan = {"": 0.0, "pan_left": -1.0, "pan_right": 1.0}[scene.pan] * rng.uniform(0.25, 0.4)
    views = footage.camera_path(rng, device, round(scene.seconds * device.fps), pan)
    crowd = place.draw_passers_by(rng) if rng.random() < 0.5 else []
    corner = float(rng.choice([-1, 1])) if rng.random() < 0.2 else 0.0
    dark = footage.draw_colour(rng, 10, 90)

    def draw(view: footage.View, now: float) -> Image.Image:
        image = view.backdrop(backdrop)
        brush = ImageDraw.Draw(image)
        for passer_by in crowd:
            passer_by.draw(brush, view, now)
        for thing, picture in zip(scene.things, painted, strict=True):
            x, y, size, angle = state(thing, now, scene.seconds)
            _paste(image, view, picture, (x - view.shift[0] if pan else x, y, size, angle))
        if corner:
            place.draw_occluder(brush, view, corner, dark)
        return image

    frames = footage.develop(footage.film(views, draw), device, rng)
    if not clip.backwards:
        return frames, device, scene.tags
    words = {REVERSAL.get(tag, tag) for tag in scene.tags}
    return frames[::-1], device, [tag for tag in CLASSES if tag in words]


def write(out: Path, clip: Clip) -> tuple[str, str]:
    """Write one clip; its line of the CSV."""
    frames, device, tags = render(clip)
    name = f"{clip.number:04d}{device.suffix}"
    footage.encode(out / name, frames, device)
    return name, ";".join(tags)


if __name__ == "__main__":
    given = footage.arguments(__doc__, clips=250)
    clips = [Clip(given.seed, number) for number in range(given.clips)]
    footage.write_corpus(given.out, ("path", "labels"), clips, write, given.workers)
