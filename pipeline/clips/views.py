"""Test views of a video (each is one clip, at one scale, in one crop) and the protocols that average them.

A protocol is a set of views whose probabilities are averaged. All protocols share one grid of views, so that a view
is computed once and any protocol can be recomputed from the stored scores:

    clip        the centre clip, centre crop, at the size at which training validates
    dense       k clips x 3 crops at the first test scale
    multiscale  k clips x 3 crops at every test scale

A sound has neither scales nor crops: clip is its centre window, dense and multiscale are k windows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeVar

from pipeline.core import params
from pipeline.core.errors import UserError

V = TypeVar("V")
NO_SIDES = "sides must name at least one scale"
"""What is wrong with the `test` of a model that sees, where it is that of one that hears."""
PROTOCOLS = ("clip", "dense", "multiscale")
"""Names of the protocols, from the cheapest to the last, which the prediction tables hold."""
CROPS = {"fixed": ("left", "centre", "right"), "random": ("random 1", "random 2", "random 3")}
"""Names of the three crops: `fixed` ones lie along the longer side (top to bottom of an upright video), `random` ones
anywhere, drawn for each view independently."""


@dataclass(frozen=True)
class ViewConfig:
    """Section `models.<name>.test` of params.yaml."""

    clips: int
    """Number of clips k of a video in the protocols dense and multiscale."""
    sides: tuple[int, ...]
    """Short side of every scale, in pixels; the first is the scale of protocol dense. Empty for a model that hears."""
    crop: int | None
    """Side of the square crop at every scale, in pixels; null takes the whole short side."""
    crops: Literal["fixed", "random"] = "fixed"
    """Places of the three crops in the protocols dense and multiscale: fixed is left, centre and right; random draws
    each, as the report did."""
    seed: int = 0
    """Seed of random crops, which are a function of (seed, video, view)."""

    def __post_init__(self) -> None:
        crop = 1 if self.crop is None else self.crop
        params.require(
            (self.clips >= 1, f"clips must be at least 1, not {self.clips}"),
            (crop >= 1, f"crop must be 1 pixel or more, or null, not {crop}"),
            (
                all(side >= crop for side in self.sides),
                f"a crop of {crop} pixels does not fit into the sides {list(self.sides)}",
            ),
            (self.seed >= 0, "seed must not be negative"),
        )


@dataclass(frozen=True)
class Scale:
    """A size to which frames are resized, and the crop that is taken there."""

    side: int
    """Short side after resizing, in pixels."""
    crop: int
    """Side of the square crop, in pixels."""


@dataclass(frozen=True)
class View:
    """One clip of a video, at one scale, in one crop."""

    clips: int
    """Number of clips that the video is sampled into."""
    clip: int
    """Number of this clip, 0 .. clips - 1."""
    scale: Scale
    crop: str
    """Name of the crop, one of those in `CROPS`."""


@dataclass(frozen=True)
class Window:
    """A span of the sound of a video; it has no scale and no crop."""

    clips: int
    """Number of windows that the sound is cut into, evenly spaced."""
    clip: int
    """Number of this window, 0 .. clips - 1."""


@dataclass(frozen=True)
class ViewGrid:
    """The K distinct views of a video, and for each protocol the positions of those that it averages."""

    views: tuple[View | Window, ...]
    protocols: dict[str, tuple[int, ...]]
    """Protocol -> positions in `views`."""
    seed: int = 0
    """Seed of random crops."""

    def __len__(self) -> int:
        """The number of views, K."""
        return len(self.views)

    @property
    def seen(self) -> tuple[View, ...]:
        """The views that are of frames: all, or none where they are windows of sound."""
        return tuple(view for view in self.views if isinstance(view, View))

    @property
    def sides(self) -> set[int]:
        """The short sides of its views, in pixels."""
        return {view.scale.side for view in self.seen}

    def describe(self) -> dict[str, Any]:
        """The grid as plain values, for the files that hold its scores."""
        drawn = any(view.crop in CROPS["random"] for view in self.seen)
        return {
            "views": [asdict(view) for view in self.views],
            "protocols": {name: list(positions) for name, positions in self.protocols.items()},
            **({"seed": self.seed} if drawn else {}),
        }


def grid(centre: Scale, config: ViewConfig) -> ViewGrid:
    """The grid of views of all protocols; `centre` is the scale of protocol clip.

    Raises:
        UserError: there is no scale.
    """
    if not config.sides:
        raise UserError(NO_SIDES)
    scales = [Scale(side, config.crop or side) for side in config.sides]
    wanted = {
        "clip": [View(1, 0, centre, "centre")],
        "dense": _every(scales[:1], config),
        "multiscale": _every(scales, config),
    }
    views, protocols = _distinct(wanted)
    return ViewGrid(views, protocols, config.seed)


def windows(config: ViewConfig) -> ViewGrid:
    """The grid of windows of a sound: `config.clips` in the protocols dense and multiscale, which are the same here."""
    every = [Window(config.clips, clip) for clip in range(config.clips)]
    views, protocols = _distinct({"clip": [Window(1, 0)], "dense": every, "multiscale": every})
    return ViewGrid(views, protocols)


def of_one(view: View | Window) -> ViewGrid:
    """The grid of a single view, which the protocol clip has."""
    return ViewGrid((view,), {"clip": (0,)})


def _distinct(wanted: Mapping[str, Sequence[V]]) -> tuple[tuple[V, ...], dict[str, tuple[int, ...]]]:
    """The distinct views of all protocols, and the positions of those of each."""
    views = list(dict.fromkeys(view for protocol in wanted.values() for view in protocol))
    position = {view: number for number, view in enumerate(views)}
    return tuple(views), {name: tuple(position[view] for view in chosen) for name, chosen in wanted.items()}


def _every(scales: list[Scale], config: ViewConfig) -> list[View]:
    places = CROPS[config.crops]
    return [
        View(config.clips, clip, scale, place) for scale in scales for clip in range(config.clips) for place in places
    ]
