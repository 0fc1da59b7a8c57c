"""One clip of the built-in corpus: draw a scene as numbers, then render it as frames.

A scene is a dark grey background with one or two bright actors, each with a motion of its own, and now and then
a bystander. What a scene shows and how it looks are drawn independently: any shape in any colour may make any
motion in front of any background, so no label can be guessed from another one.

Motions need the order of the frames: played backwards, a rising disc is a sinking one; or their pace, by which alone
swaying differs from shaking, and blinking from flickering. Background and shape need one frame. No label tells left
from right, so a clip and its mirror image bear the same labels. Things are large or small, bright or dim, and do much
or little, so no model finds all of them; and motions at the end of `MOTIONS` are rare.
"""

import colorsys
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT, FRAMES, FPS = 144, 96, 90, 30  # pixels, pixels, frames, frames a second
NOISE = 4.0  # standard deviation of the sensor noise, of 255

Array = NDArray[np.floating]  # float32 wherever it is large
Random = np.random.Generator


@dataclass(frozen=True)
class Track:
    """What a thing does, frame by frame. Each array is (T,)."""

    x: Array  # of the centre, in pixels
    y: Array
    radius: Array
    gap: Array  # between its upper and its lower half, in pixels
    opacity: Array


@dataclass(frozen=True)
class Thing:
    """An actor, or a bystander whose motion is ''."""

    shape: str
    motion: str
    colour: tuple[float, float, float]  # RGB from 0 to 255
    track: Track


@dataclass(frozen=True)
class Backdrop:
    """An even grey, or stripes or checks of two greys."""

    kind: str
    dark: float  # grey, from 0 to 255
    contrast: float
    angle: float
    wavelength: float  # in pixels


@dataclass(frozen=True)
class Scene:
    """All that one clip shows, and the seed of its sensor noise."""

    backdrop: Backdrop
    things: tuple[Thing, ...]  # from back to front
    shake: Array  # of the camera in x and y, (2, T), in pixels
    noise: int

    @property
    def labels(self) -> list[str]:
        """The classes that the clip bears, in the order of `CLASSES`."""
        shown = {self.backdrop.kind, *(word for thing in self.things for word in (thing.shape, thing.motion))}
        return [name for name in CLASSES if name in shown]


# Motions: a thing that stands still -> the same thing in motion.


def _once(rng: Random) -> Array:
    """(T,): a smooth way from 0 to 1, begun at a random time. Played backwards it is as likely."""
    length = int(rng.integers(24, 56, endpoint=True))
    start = int(rng.integers(0, FRAMES - length, endpoint=True))
    progress = np.clip((np.arange(FRAMES, dtype=np.float32) - start) / length, 0, 1)
    return progress * progress * (3 - 2 * progress)


def _again_and_again(rng: Random, pace: tuple[float, float]) -> Array:
    """(T,): a swing from 0 to 1, to -1 and back, `pace` times a second, for most of the clip."""
    length = int(rng.integers(60, 84, endpoint=True))
    start = int(rng.integers(0, FRAMES - length, endpoint=True))
    time = np.arange(FRAMES, dtype=np.float32) - start
    swing = np.sin(2 * np.pi * rng.uniform(*pace) / FPS * time)
    return np.where((time >= 0) & (time < length), swing, 0).astype(np.float32)


def _rise(still: Track, rng: Random) -> Track:
    return replace(still, y=HEIGHT / 2 + rng.uniform(20, 52) * (0.5 - _once(rng)))


def _grow(still: Track, rng: Random) -> Track:
    small, ratio = rng.uniform(6, 10), rng.uniform(1.7, 3.2)
    return replace(still, radius=small * (1 + (ratio - 1) * _once(rng)))


def _open(still: Track, rng: Random) -> Track:
    return replace(still, gap=rng.uniform(14, 34) * _once(rng))


def _swing(still: Track, rng: Random, pace: tuple[float, float]) -> Track:
    return replace(still, x=still.x + rng.uniform(6, 13) * _again_and_again(rng, pace))


def _blink(still: Track, rng: Random, pace: tuple[float, float]) -> Track:
    return replace(still, opacity=1 - rng.uniform(0.6, 0.95) * np.clip(4 * _again_and_again(rng, pace), 0, 1))


def _backwards(motion: Callable[[Track, Random], Track]) -> Callable[[Track, Random], Track]:
    """The same motion, played from its end to its start."""

    def played_backwards(still: Track, rng: Random) -> Track:
        return Track(**{name: values[::-1] for name, values in vars(motion(still, rng)).items()})

    return played_backwards


SLOW, FAST = (0.6, 1.0), (2.2, 3.2)  # times a second
MOTIONS: dict[str, Callable[[Track, Random], Track]] = {  # the most frequent first
    "rising": _rise,
    "sinking": _backwards(_rise),
    "growing": _grow,
    "shrinking": _backwards(_grow),
    "opening": _open,
    "closing": _backwards(_open),
    "swaying": partial(_swing, pace=SLOW),
    "shaking": partial(_swing, pace=FAST),
    "blinking": partial(_blink, pace=SLOW),
    "flickering": partial(_blink, pace=FAST),
}


# Shapes: the signed distance of (u, v) from the outline of a shape of radius 1; negative inside, v points down.


def _cross(u: Array, v: Array) -> Array:
    across, along = np.abs(u), np.abs(v)
    distance: Array = np.minimum(np.maximum(across - 1, along - 0.28), np.maximum(across - 0.28, along - 1))
    return distance


def _star(u: Array, v: Array) -> Array:
    """Five points. Folded to half a point, its outline is one line: from the tip (1, 0) to an inner corner."""
    turn = np.pi / 5
    angle = np.abs(np.mod(np.arctan2(u, -v) + turn, 2 * turn) - turn)
    inner_x, inner_y = 0.45 * np.cos(turn), 0.45 * np.sin(turn)
    length = np.hypot(1 - inner_x, inner_y)
    along, across = np.hypot(u, v) * np.cos(angle), np.hypot(u, v) * np.sin(angle)
    distance: Array = ((along - 1) * inner_y + across * (1 - inner_x)) / length
    return distance


SHAPES: dict[str, Callable[[Array, Array], Array]] = {
    "cross": _cross,
    "ring": lambda u, v: np.abs(np.hypot(u, v) - 0.78) - 0.22,
    "disc": lambda u, v: np.hypot(u, v) - 1,
    "square": lambda u, v: np.maximum(np.abs(u), np.abs(v)) - 0.85,
    "triangle": lambda u, v: np.maximum(0.866 * np.abs(u) - 0.5 * v - 0.5, v - 0.5),
    "star": _star,
}

BACKDROPS = {"plain": 0.50, "striped": 0.28, "checkered": 0.22}  # how often
CLASSES = (*MOTIONS, "striped", "cross")  # the other words of a scene carry no label


def draw_clip(rng: Random) -> Scene:
    """A random scene: 0.6 of them with one actor, the others with two; a quarter with a bystander."""
    frequency = np.arange(1, len(MOTIONS) + 1) ** -0.7
    actors = 1 if rng.random() < 0.6 else 2
    motions = list(rng.choice([*MOTIONS], actors, replace=False, p=frequency / frequency.sum()))
    if rng.random() < 0.25:
        motions.insert(0, "")  # behind the actors
    shake = rng.normal(0, 0.5, (2, FRAMES)).astype(np.float32)
    lanes = rng.permutation(_lanes(rng, len(motions)))
    kind = str(rng.choice([*BACKDROPS], p=[*BACKDROPS.values()]))
    things = tuple(_thing(rng, str(motion), float(x)) for motion, x in zip(motions, lanes, strict=True))
    dark, contrast = rng.uniform(20, 50), rng.uniform(8, 40)
    backdrop = Backdrop(kind, dark, contrast, angle=rng.uniform(0, np.pi), wavelength=rng.uniform(12, 20))
    return Scene(backdrop, things, shake, noise=int(rng.integers(2**32)))


def _lanes(rng: Random, things: int) -> Array:
    """Where the things stand, side by side. A square crop in the middle sees most of them."""
    spacing, jitter = {1: (0, 30), 2: (60, 6), 3: (44, 3)}[things]
    return WIDTH / 2 + spacing * (np.arange(things) - (things - 1) / 2) + rng.uniform(-jitter, jitter, things)


def _thing(rng: Random, motion: str, x: float) -> Thing:
    ones, radius, y = np.ones(FRAMES, np.float32), rng.uniform(10, 20), HEIGHT / 2 + rng.uniform(-8, 8)
    track = Track(x=ones * x, y=ones * y, radius=ones * radius, gap=ones * 0, opacity=ones)
    if motion:
        track = MOTIONS[motion](track, rng)
    red, green, blue = colorsys.hsv_to_rgb(rng.random(), rng.uniform(0.6, 1), rng.uniform(0.5, 1))
    return Thing(str(rng.choice([*SHAPES])), motion, (255 * red, 255 * green, 255 * blue), track)


def render_clip(scene: Scene) -> NDArray[np.uint8]:
    """The frames of a scene, (T, H, W, 3), RGB."""
    frames = np.empty((FRAMES, HEIGHT, WIDTH, 3), np.uint8)
    noise = np.random.default_rng(scene.noise).standard_normal(frames.shape[:3], dtype=np.float32)
    backdrop = _render_backdrop(scene.backdrop, scene.shake)
    layers = [(thing.colour, *_coverage(thing, scene.shake)) for thing in scene.things]
    for channel in range(3):
        image = backdrop.copy()
        for colour, window, cover in layers:
            image[window] += cover * (colour[channel] - image[window])
        frames[..., channel] = np.clip(image + NOISE * noise, 0, 255)
    return frames


def _render_backdrop(backdrop: Backdrop, shake: Array) -> Array:
    """(T, H, W), grey from 0 to 255."""
    if backdrop.kind == "plain":
        return np.full((FRAMES, HEIGHT, WIDTH), backdrop.dark, np.float32)
    wave, cos, sin = 2 * np.pi / backdrop.wavelength, math.cos(backdrop.angle), math.sin(backdrop.angle)
    x = wave * (np.arange(WIDTH, dtype=np.float32) - shake[0, :, None, None])  # (T, 1, W)
    y = wave * (np.arange(HEIGHT, dtype=np.float32)[:, None] - shake[1, :, None, None])  # (T, H, 1)
    pattern = np.sin(x * cos + y * sin)
    if backdrop.kind == "checkered":
        pattern *= np.sin(y * cos - x * sin)
    return backdrop.dark + backdrop.contrast * np.clip(0.5 + 3 * pattern, 0, 1)


def _coverage(thing: Thing, shake: Array) -> tuple[tuple[slice, slice, slice], Array]:
    """The part of the frames that the thing comes to, and how much of each pixel there it covers: 0 to 1."""
    moved = replace(thing.track, x=thing.track.x + shake[0], y=thing.track.y + shake[1])
    track = Track(**{name: values[:, None, None] for name, values in vars(moved).items()})  # each (T, 1, 1)
    reach = track.radius + track.gap / 2 + 1
    rows, columns = _span(track.y, reach, HEIGHT), _span(track.x, reach, WIDTH)
    across = np.arange(columns.start, columns.stop, dtype=np.float32) - track.x  # (T, 1, columns)
    down = np.arange(rows.start, rows.stop, dtype=np.float32)[:, None] - track.y  # (T, rows, 1)
    off_seam = np.abs(down) - track.gap / 2
    distance = SHAPES[thing.shape](across / track.radius, np.sign(down) * off_seam / track.radius) * track.radius
    seam = np.clip(0.5 - off_seam, 0, 1) * np.minimum(track.gap, 1)
    cover = np.clip(0.5 - distance, 0, 1) * (1 - seam) * track.opacity
    return (slice(None), rows, columns), cover


def _span(centre: Array, reach: Array, size: int) -> slice:
    return slice(max(0, int((centre - reach).min())), min(size, int((centre + reach).max()) + 2))
