"""A person in front of the camera: how one looks, and how a pose is drawn.

Lengths of the body are in heads (the height of a head), from the middle of the shoulders, x to the right of the image
and y down.
"""

import math
from dataclasses import dataclass

import numpy as np
from footage import Array, Colour, Random, View, draw_colour, mixed
from PIL import Image, ImageDraw

UPPER_ARM, FOREARM = 1.4, 1.25
REACH = UPPER_ARM + FOREARM - 0.05
SKINS = [(250, 215, 190), (235, 190, 160), (205, 155, 120), (165, 115, 80), (120, 80, 55), (85, 58, 42)]
HAIRS = [(30, 25, 22), (70, 45, 30), (120, 80, 45), (200, 165, 100), (150, 70, 40), (170, 170, 170)]
DARK = (15, 12, 15)


@dataclass(frozen=True)
class Look:
    """What stays the same in all clips of a person."""

    skin: Colour
    hair: Colour
    long_hair: bool
    glasses: bool
    shirt: Colour
    pattern: Image.Image  # of the shirt, which it covers
    long_sleeves: bool
    trousers: Colour
    breadth: float  # of shoulders and limbs; 1 is usual


@dataclass(frozen=True)
class Pose:
    """Where the hands are, and how large they look, which tells how near they are; 1 is beside the body."""

    left: tuple[float, float]
    right: tuple[float, float]
    left_size: float
    right_size: float
    lean: float
    nod: float


def draw_look(rng: Random) -> Look:
    """A random person."""
    shirt = draw_colour(rng)
    return Look(
        skin=SKINS[rng.integers(len(SKINS))],
        hair=HAIRS[rng.integers(len(HAIRS))],
        long_hair=bool(rng.random() < 0.4),
        glasses=bool(rng.random() < 0.3),
        shirt=shirt,
        pattern=_pattern(rng, shirt),
        long_sleeves=bool(rng.random() < 0.6),
        trousers=draw_colour(rng, 20, 130),
        breadth=float(rng.uniform(0.85, 1.2)),
    )


def _pattern(rng: Random, colour: Colour) -> Image.Image:
    """512 x 512 pixels: plain, striped across or along, checked, or mottled."""
    down, across = np.mgrid[:512, :512] / rng.uniform(14, 40)
    waves = {"plain": 0 * down, "across": np.sin(down), "along": np.sin(across), "check": np.sin(down) * np.sin(across)}
    waves["mottled"] = np.kron(rng.standard_normal((64, 64)), np.ones((8, 8)))
    share = np.clip(0.5 + 2 * waves[str(rng.choice([*waves]))], 0, 1)[..., None]
    cloth = share * np.array(colour) + (1 - share) * np.array(draw_colour(rng))
    return Image.fromarray((cloth + rng.normal(0, 5, cloth.shape)).clip(0, 255).astype(np.uint8))


def draw_person(image: Image.Image, view: View, look: Look, pose: Pose, place: Array, head: float) -> None:
    """Draw a person onto the image; `place` is the middle of the shoulders and `head` a head, in frame heights."""
    painter = _Painter(image, view, place, head)
    wide = look.breadth
    shoulders = {side: np.array([side * 0.95 * wide + pose.lean, 0.0]) for side in (-1, 1)}
    for side in (-1, 1):
        painter.limb((side * 0.42 * wide, 2.6), (side * 0.5 * wide, 6.0), 0.44 * wide, 0.3 * wide, look.trousers)
    if look.long_hair:
        painter.ellipse((pose.lean + pose.nod, -0.75), 0.58, 0.75, look.hair)
    painter.limb((pose.lean, 0.0), (pose.lean + pose.nod, -0.7), 0.24, 0.24, mixed(look.skin, DARK, 0.25))
    _torso(painter, look, pose.lean)
    _head(painter, look, pose.lean + pose.nod)
    for side, hand, size in ((-1, pose.left, pose.left_size), (1, pose.right, pose.right_size)):
        _arm(painter, look, shoulders[side], np.array(hand), side, size)


class _Painter:
    """Shapes in heads, each with a darker rim."""

    def __init__(self, image: Image.Image, view: View, place: Array, head: float):
        self.image, self.brush, self.view = image, ImageDraw.Draw(image), view
        self.place, self.head = np.asarray(place), head
        self.pixels = head * view.scale

    def at(self, point: tuple[float, float] | Array) -> tuple[float, float]:
        return self.view.at(self.place + self.head * np.asarray(point))

    def ellipse(self, middle: tuple[float, float] | Array, wide: float, high: float, colour: Colour) -> None:
        x, y = self.at(middle)
        w, h, rim = wide * self.pixels, high * self.pixels, 0.03 * self.pixels
        self.brush.ellipse((x - w - rim, y - h - rim, x + w + rim, y + h + rim), mixed(colour, DARK, 0.45))
        self.brush.ellipse((x - w, y - h, x + w, y + h), colour)

    def limb(
        self,
        start: tuple[float, float] | Array,
        end: tuple[float, float] | Array,
        thick: float,
        thin: float,
        colour: Colour,
    ) -> None:
        (x0, y0), (x1, y1) = self.at(start), self.at(end)
        length = math.hypot(x1 - x0, y1 - y0) or 1
        across = ((y0 - y1) / length, (x1 - x0) / length)
        for rim, shade in ((0.04, mixed(colour, DARK, 0.5)), (0.0, colour)):
            a, b = (thick / 2 + rim) * self.pixels, (thin / 2 + rim) * self.pixels
            ends = [(x0, y0, a), (x0, y0, -a), (x1, y1, -b), (x1, y1, b)]
            self.brush.polygon([(x + r * across[0], y + r * across[1]) for x, y, r in ends], shade)
            self.brush.ellipse((x0 - a, y0 - a, x0 + a, y0 + a), shade)
            self.brush.ellipse((x1 - b, y1 - b, x1 + b, y1 + b), shade)


def _torso(painter: _Painter, look: Look, lean: float) -> None:
    wide = look.breadth
    half = [(0.25, -0.22), (0.95, -0.08), (1.12, 0.15), (0.85, 1.2), (0.78, 2.0), (0.85, 2.9)]
    right = [(wide * x + lean * (1 - y / 3), y) for x, y in half]
    left = [(-wide * x + lean * (1 - y / 3), y) for x, y in half[::-1]]
    outline = [painter.at(point) for point in right + left]
    xs, ys = zip(*outline, strict=True)
    box = (int(min(xs)), int(min(ys)), int(max(xs)) + 1, int(max(ys)) + 1)
    mask = Image.new("L", (box[2] - box[0], box[3] - box[1]))
    ImageDraw.Draw(mask).polygon([(x - box[0], y - box[1]) for x, y in outline], 255)
    painter.image.paste(look.pattern.resize(mask.size, box=(0, 0, 300, 300 * mask.height / mask.width)), box, mask)
    rim = max(1, int(0.04 * painter.pixels))
    painter.brush.line([*outline, outline[0]], mixed(look.shirt, DARK, 0.6), width=rim, joint="curve")


def _head(painter: _Painter, look: Look, x: float) -> None:
    y = -0.85
    painter.ellipse((x, y - 0.1), 0.47, 0.55, look.hair)
    painter.ellipse((x, y + 0.06), 0.4, 0.5, look.skin)
    painter.ellipse((x, y - 0.36), 0.36, 0.16, look.hair)
    for side in (-1, 1):
        painter.ellipse((x + 0.16 * side, y), 0.045, 0.035, DARK)
        if look.glasses:
            middle, size = painter.at((x + 0.17 * side, y)), 0.13 * painter.pixels
            box = (middle[0] - size, middle[1] - size, middle[0] + size, middle[1] + size)
            painter.brush.ellipse(box, outline=DARK, width=max(1, int(0.03 * painter.pixels)))
    painter.limb((x, y + 0.02), (x, y + 0.16), 0.06, 0.09, mixed(look.skin, (120, 60, 40), 0.2))
    painter.limb((x - 0.13, y + 0.32), (x + 0.13, y + 0.32), 0.03, 0.03, (140, 60, 60))


def elbow(shoulder: Array, hand: Array, side: int) -> Array:
    """Where the elbow lies, (2,): outwards and below; the hand must be within `REACH` of the shoulder."""
    line = hand - shoulder
    far = float(np.clip(np.hypot(*line), 0.3, REACH))
    along = (UPPER_ARM**2 - FOREARM**2 + far**2) / (2 * far)
    off = math.sqrt(max(0.0, UPPER_ARM**2 - along**2))
    across = np.array([-line[1], line[0]]) / max(float(np.hypot(*line)), 1e-6)
    if across @ np.array([side, 1.0]) < 0:
        across = -across
    return shoulder + line / max(float(np.hypot(*line)), 1e-6) * along + off * across


def _arm(painter: _Painter, look: Look, shoulder: Array, hand: Array, side: int, size: float) -> None:
    line = hand - shoulder
    hand = shoulder + line * min(1.0, REACH / max(float(np.hypot(*line)), 1e-6))
    joint = elbow(shoulder, hand, side)
    sleeve, wide = mixed(look.shirt, DARK, 0.12), look.breadth
    painter.limb(shoulder, joint, 0.5 * wide, 0.38 * wide, sleeve)
    forearm = sleeve if look.long_sleeves else look.skin
    painter.limb(joint, hand, 0.36 * wide, 0.24 * wide * size, forearm)
    ahead = (hand - joint) / max(float(np.hypot(*(hand - joint))), 1e-6)
    across = np.array([-ahead[1], ahead[0]])
    for spread in (-0.45, -0.15, 0.15, 0.45):
        tip = hand + size * (0.55 * ahead + 0.45 * spread * across)
        painter.limb(hand + 0.2 * size * spread * across, tip, 0.12 * size, 0.1 * size, look.skin)
    thumb = hand + size * (0.2 * ahead + 0.33 * side * across)
    painter.limb(hand, thumb, 0.13 * size, 0.1 * size, look.skin)
    painter.ellipse(hand + 0.14 * size * ahead, 0.19 * size, 0.19 * size, look.skin)
