"""Places that clips are shot at: rooms and open air, painted once a place; and passers-by in front of them."""

from dataclasses import dataclass

import numpy as np
from footage import MARGIN, SUPER, Colour, Device, Random, View, draw_colour, mixed, texture
from PIL import Image, ImageChops, ImageDraw, ImageFilter

KINDS = ("indoor", "outdoor", "water", "night")


def paint_place(rng: Random, device: Device, kind: str) -> Image.Image:
    """A place of `MARGIN` frames, at `SUPER` times their size, slightly out of focus."""
    width, height = (round(MARGIN * SUPER * side) for side in (device.width, device.height))
    image = Image.new("RGB", (width, height))
    {"indoor": _room, "outdoor": _open_air, "water": _shore, "night": _street}[kind](image, rng)
    cloud = texture(rng, width, height, rng.uniform(130, 200), 255).convert("RGB")
    image = ImageChops.multiply(image, cloud)
    return image.filter(ImageFilter.GaussianBlur(height * rng.uniform(0.001, 0.006)))


def _gradient(image: Image.Image, top: Colour, bottom: Colour, box: tuple[int, int, int, int]) -> None:
    left, upper, right, lower = box
    ramp = Image.linear_gradient("L").resize((right - left, lower - upper))
    image.paste(Image.composite(Image.new("RGB", ramp.size, bottom), Image.new("RGB", ramp.size, top), ramp), box)


def _room(image: Image.Image, rng: Random) -> None:
    width, height = image.size
    wall, floor = draw_colour(rng, 90, 235), draw_colour(rng, 40, 150)
    _gradient(image, wall, mixed(wall, (60, 60, 60), 0.4), (0, 0, width, height))
    horizon = int(height * rng.uniform(0.65, 0.9))
    _gradient(image, floor, mixed(floor, (0, 0, 0), 0.4), (0, horizon, width, height))
    brush = ImageDraw.Draw(image)
    for _ in range(rng.integers(5, 12)):  # frames, windows, cupboards
        w, h = rng.uniform(0.06, 0.25) * width, rng.uniform(0.1, 0.4) * height
        x, y = rng.uniform(0, width - w), rng.uniform(0, horizon - 0.5 * h)
        colour = draw_colour(rng)
        brush.rectangle((x, y, x + w, y + h), colour, mixed(colour, (0, 0, 0), 0.5), width=max(1, height // 90))
        for row in range(int(rng.integers(0, 5))):
            line = y + h * (row + 1) / 6
            brush.line((x, line, x + w, line), mixed(colour, (255, 255, 255), 0.4), width=max(1, height // 100))


def _open_air(image: Image.Image, rng: Random) -> None:
    width, height = image.size
    horizon = int(height * rng.uniform(0.5, 0.75))
    sky = mixed((110, 160, 220), (220, 220, 225), rng.random())
    _gradient(image, sky, mixed(sky, (255, 255, 255), 0.6), (0, 0, width, horizon))
    ground = mixed((70, 110, 45), (150, 130, 95), rng.random())
    _gradient(image, mixed(ground, (200, 200, 180), 0.3), ground, (0, horizon, width, height))
    brush = ImageDraw.Draw(image)
    for _ in range(rng.integers(8, 18)):  # bushes and houses on the horizon
        x, size = rng.uniform(0, width), rng.uniform(0.04, 0.14) * height
        if rng.random() < 0.65:
            green = mixed((30, 70, 25), (100, 130, 60), rng.random())
            for dx, dy in rng.normal(0, 0.6, (6, 2)) * size:
                brush.ellipse((x + dx - size, horizon + dy - size, x + dx + size, horizon + dy + size), green)
        else:
            brush.rectangle((x, horizon - 2 * size, x + 2 * size, horizon + 0.2 * size), draw_colour(rng, 80, 200))
    for x, y in rng.random((60, 2)):
        dot = (x * width, horizon + y * (height - horizon))
        brush.line((*dot, dot[0] + 4, dot[1] - 8), mixed(ground, (255, 255, 220), rng.random() * 0.5), width=2)


def _shore(image: Image.Image, rng: Random) -> None:
    width, height = image.size
    horizon = int(height * rng.uniform(0.3, 0.45))
    sky = mixed((130, 180, 230), (235, 190, 160), rng.random())
    _gradient(image, sky, mixed(sky, (255, 255, 255), 0.6), (0, 0, width, horizon))
    sea = mixed((20, 70, 110), (40, 130, 140), rng.random())
    _gradient(image, mixed(sea, (255, 255, 255), 0.3), sea, (0, horizon, width, height))
    brush = ImageDraw.Draw(image)
    for x, y in rng.random((220, 2)):  # waves, longer towards the camera
        row = horizon + y * y * (height - horizon)
        length = width * (0.01 + 0.06 * y * y)
        colour = mixed(sea, (255, 255, 255), rng.uniform(0.1, 0.6))
        brush.line((x * width, row, x * width + length, row), colour, width=1 + int(4 * y))


def _street(image: Image.Image, rng: Random) -> None:
    width, height = image.size
    _gradient(image, (8, 10, 30), (40, 35, 55), (0, 0, width, height))
    brush = ImageDraw.Draw(image)
    left = 0.0
    while left < width:  # houses with lit windows
        w, top = rng.uniform(0.08, 0.2) * width, rng.uniform(0.15, 0.5) * height
        brush.rectangle((left, top, left + w, 0.8 * height), mixed((15, 15, 25), (45, 40, 50), rng.random()))
        for x in np.arange(left + 6, left + w - 12, 0.03 * height + 8):
            for y in np.arange(top + 8, 0.75 * height, 0.05 * height + 8):
                if rng.random() < 0.35:
                    lit = mixed((255, 220, 130), (170, 200, 255), rng.random())
                    brush.rectangle((x, y, x + 0.02 * height, y + 0.03 * height), mixed(lit, (0, 0, 0), 0.3))
        left += w
    for x in rng.random(4):  # lamps
        for size, light in ((0.04, 0.25), (0.02, 0.6), (0.01, 1.0)):
            box = (x * width - size * height, (0.4 - size) * height, x * width + size * height, (0.4 + size) * height)
            brush.ellipse(box, mixed((20, 20, 35), (255, 230, 160), light))


@dataclass(frozen=True)
class PasserBy:
    """A dim figure that crosses behind the scene at an even pace, either way."""

    x: float
    y: float
    speed: float
    size: float
    colour: Colour

    def draw(self, brush: ImageDraw.ImageDraw, view: View, now: float) -> None:
        """Draw it at a time from 0 to 1."""
        x, s = self.x + self.speed * (now - 0.5), self.size
        brush.rounded_rectangle((*view.at((x - s, self.y)), *view.at((x + s, self.y + 5 * s))), 8, self.colour)
        head = (*view.at((x - 0.6 * s, self.y - 1.4 * s)), *view.at((x + 0.6 * s, self.y - 0.1 * s)))
        brush.ellipse(head, mixed(self.colour, (150, 120, 100), 0.6))


def draw_passers_by(rng: Random) -> list[PasserBy]:
    """None, for half of the clips, or up to three."""
    count = int(rng.integers(1, 4)) if rng.random() < 0.5 else 0
    return [
        PasserBy(
            x=float(rng.uniform(-0.7, 0.7)),
            y=float(rng.uniform(-0.2, 0.1)),
            speed=float(rng.choice([-1, 1]) * rng.uniform(0.2, 1.2)),
            size=float(rng.uniform(0.03, 0.07)),
            colour=draw_colour(rng, 40, 150),
        )
        for _ in range(count)
    ]


def draw_occluder(brush: ImageDraw.ImageDraw, view: View, corner: float, colour: Colour) -> None:
    """Draw something dark that stands near the camera and covers a lower corner: -1 the left one, 1 the right one."""
    x = corner * view.size[0] / view.size[1] / 2
    left, top = view.at((x - 0.18, 0.22))
    right, bottom = view.at((x + 0.18, 0.7))
    brush.rounded_rectangle((left, top, right, bottom), 0.1 * (right - left), colour)
    brush.line((left, top, right, top), mixed(colour, (255, 255, 255), 0.25), width=4)
