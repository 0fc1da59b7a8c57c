"""Objects of the corpus `scenes`: each kind painted in many colours and markings, as an image with transparency."""

import numpy as np
from footage import Colour, Random, draw_colour, mixed, texture
from PIL import Image, ImageChops, ImageDraw

SIDE = 192  # pixels of a painted object; what it shows fills most of them
DARK = (20, 18, 22)


def paint_object(rng: Random, kind: str) -> Image.Image:
    """A random object of a kind, RGBA, `SIDE` pixels high and wide, lit from above."""
    image = Image.new("RGBA", (SIDE, SIDE))
    brush = ImageDraw.Draw(image)
    KINDS[kind](brush, rng)
    cloud = np.asarray(texture(rng, SIDE, SIDE, rng.uniform(150, 210), 255), np.float32)
    light = np.linspace(1.1, 0.75, SIDE, dtype=np.float32)[:, None]
    shade = Image.fromarray((cloud * light).clip(0, 255).astype(np.uint8))
    opaque = Image.new("L", shade.size, 255)
    return ImageChops.multiply(image, Image.merge("RGBA", (shade, shade, shade, opaque)))


def _ball(brush: ImageDraw.ImageDraw, rng: Random) -> None:
    colour, other = draw_colour(rng, 60, 255), draw_colour(rng, 60, 255)
    brush.ellipse((16, 16, 176, 176), colour, DARK, width=4)
    turn = rng.uniform(0, 360)
    for start in range(0, 360, 120):
        brush.pieslice((24, 24, 168, 168), turn + start, turn + start + rng.uniform(25, 60), other)
    brush.ellipse((74, 74, 118, 118), mixed(colour, (255, 255, 255), 0.4))


def _box(brush: ImageDraw.ImageDraw, rng: Random) -> None:
    colour, tape = mixed((190, 145, 95), draw_colour(rng), rng.uniform(0, 0.5)), draw_colour(rng)
    brush.polygon([(16, 60), (60, 24), (180, 24), (140, 60)], mixed(colour, (255, 255, 255), 0.3), DARK, 3)
    brush.polygon([(140, 60), (180, 24), (180, 130), (140, 172)], mixed(colour, DARK, 0.35), DARK, 3)
    brush.rectangle((16, 60, 140, 172), colour, DARK, width=3)
    brush.rectangle((66, 60, 90, 172), tape)
    brush.polygon([(66, 60), (108, 24), (132, 24), (90, 60)], mixed(tape, (255, 255, 255), 0.3))


def _car(brush: ImageDraw.ImageDraw, rng: Random) -> None:
    colour, glass = draw_colour(rng, 40, 240), (150, 190, 210)
    roof = int(rng.integers(44, 66))
    brush.polygon([(44, 100), (66, roof), (128, roof), (152, 100)], colour, DARK, 3)
    brush.polygon([(56, 98), (72, roof + 8), (92, roof + 8), (92, 98)], glass)
    brush.polygon([(100, 98), (100, roof + 8), (124, roof + 8), (140, 98)], glass)
    brush.rounded_rectangle((8, 96, 184, 140), 14, colour, DARK, width=3)
    brush.ellipse((172, 106, 184, 120), (250, 240, 170))
    for x in (46, 146):
        brush.ellipse((x - 24, 116, x + 24, 164), DARK)
        brush.ellipse((x - 11, 129, x + 11, 151), (170, 170, 175))


def _tree(brush: ImageDraw.ImageDraw, rng: Random) -> None:
    green = mixed((30, 80, 30), (130, 150, 50), rng.random())
    brush.polygon([(84, 186), (88, 90), (104, 90), (110, 186)], (95, 65, 40), DARK)
    if rng.random() < 0.5:
        for top, wide in ((80, 62), (46, 50), (10, 38)):
            brush.polygon([(96, top), (96 - wide, top + 66), (96 + wide, top + 66)], green, mixed(green, DARK, 0.5), 3)
        return
    for x, y in [(60, 84), (130, 84), (96, 50), (74, 58), (118, 58), (96, 96)]:
        brush.ellipse((x - 38, y - 36, x + 38, y + 36), mixed(green, (200, 220, 120), rng.uniform(0, 0.3)))


def _animal(brush: ImageDraw.ImageDraw, rng: Random) -> None:
    fur = mixed((60, 45, 35), (225, 190, 140), rng.random())
    brush.line([(30, 96), (10, 60)], fur, width=10)
    for x in (42, 62, 116, 136):
        brush.line([(x, 120), (x + rng.integers(-6, 6), 178)], mixed(fur, DARK, 0.2), width=14)
    brush.ellipse((24, 78, 150, 140), fur)
    for x, y in rng.uniform((40, 90), (130, 125), (int(rng.integers(0, 6)), 2)):
        brush.ellipse((x - 8, y - 7, x + 8, y + 7), mixed(fur, DARK, 0.5))
    brush.polygon([(128, 50), (134, 18), (148, 44)], mixed(fur, DARK, 0.3))
    brush.polygon([(154, 44), (168, 18), (172, 50)], mixed(fur, DARK, 0.3))
    brush.ellipse((120, 36, 178, 94), fur)
    brush.ellipse((152, 64, 190, 88), mixed(fur, (255, 255, 255), 0.3))
    brush.ellipse((182, 66, 192, 76), DARK)
    brush.ellipse((146, 54, 156, 64), DARK)


def _mast(brush: ImageDraw.ImageDraw, colour: Colour) -> None:
    brush.line([(96, 16), (96, 140)], DARK, width=6)
    brush.polygon([(100, 20), (100, 124), (168, 124)], colour, DARK, 3)
    brush.polygon([(92, 34), (92, 124), (40, 124)], mixed(colour, (255, 255, 255), 0.3), DARK, 3)


def _boat(brush: ImageDraw.ImageDraw, rng: Random) -> None:
    _mast(brush, draw_colour(rng, 120, 255))
    brush.polygon([(12, 134), (180, 134), (150, 174), (44, 174)], draw_colour(rng, 40, 200), DARK, 3)


KINDS = {"ball": _ball, "box": _box, "car": _car, "tree": _tree, "animal": _animal, "boat": _boat}
