"""What an exported file says of itself: how videos become its input, and what its output means.

Each field is an entry of the file's metadata, as JSON.
"""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

from pipeline.clips.dataset import ClipConfig
from pipeline.clips.sampling import SamplerConfig
from pipeline.clips.short_sides import PackConfig
from pipeline.clips.views import ViewGrid
from pipeline.core import params
from pipeline.core.errors import UserError
from pipeline.core.task import Task
from pipeline.extraction.config import ExtractConfig
from pipeline.flow.config import FlowConfig
from pipeline.inference.predictor import Predictor
from pipeline.layers.log_mel import MelSpec
from pipeline.layers.normalize import InputSpec
from pipeline.predictions.table import FINAL

T = TypeVar("T")
Kind = Literal["frames", "flow", "sound"]
"""What a model may take of a video."""


@dataclass(frozen=True)
class ModelDescription:
    """What any exported model says of itself."""

    takes: ClassVar[Kind]
    """What its input is made of."""
    model: str
    """Its name in the project that trained it."""
    arch: str
    weights_sha256: str
    """SHA-256 of the model.safetensors that it was made from."""
    task: Task
    """Whether the probability of a view is the sigmoid of its logits (multi_label) or their softmax (single_label)."""
    classes: tuple[str, ...]
    """Names of the C classes, in the order of the logits."""
    grid: ViewGrid
    """The views of a video, and for each protocol those that it averages (clips/views.py)."""
    protocol: str
    """The protocol whose mean of probabilities is the answer."""
    extract: ExtractConfig
    """How the frames are extracted from a video; fps and short_side matter most. Of sound, when a file is damaged."""


@dataclass(frozen=True)
class Description(ModelDescription):
    """What an exported model says of itself that sees."""

    takes: ClassVar[Kind] = "frames"
    input: InputSpec
    """The clip is RGB in 0..1, or x and y of flow in 8 bits / 255, minus the mean, divided by the deviation."""
    sampler: SamplerConfig
    """Which frames, or flows, of a video make a clip (clips/sampling.py)."""
    pack: PackConfig
    """At which sizes frames are stored before they are resized to those of the views."""

    @property
    def crops(self) -> tuple[int, ...]:
        """The sides of the square clips that its views have, in pixels, ascending."""
        return tuple(sorted({view.scale.crop for view in self.grid.seen}))


@dataclass(frozen=True)
class FlowDescription(Description):
    """What an exported model says of itself that takes optical flow."""

    takes = "flow"
    flow: FlowConfig
    """How flow is computed from the frames of a new video (flow/dis.py). `folder`, a name alone, is that of the flow by
    another program which the model has learnt from; null where it is such flow as this."""
    planes: tuple[Literal["x"], Literal["y"]] = ("x", "y")
    """The planes of a clip, in their order: the way to the right, and the way down."""


@dataclass(frozen=True)
class SoundDescription(ModelDescription):
    """What an exported model says of itself that hears."""

    takes = "sound"
    input: MelSpec
    """The image that the graph itself makes of sound (layers/log_mel.py); `rate` is that of the samples."""
    samples: int
    """Number of samples of a window, mono and int16."""


@dataclass(frozen=True)
class MemberFile:
    """A member of an exported ensemble."""

    model: str
    file: str
    """Name of its ONNX file, beside that of the fusion."""
    weights_sha256: str
    takes: Kind = "frames"
    """Of a video without sound, or without flow, one that takes it has nothing to say."""


@dataclass(frozen=True)
class FusionDescription:
    """What the fusion graph of an ensemble says of itself."""

    members: tuple[MemberFile, ...]
    """In the order of the graph's inputs, behind `sees` where some member takes flow or sound."""
    weights: tuple[tuple[float, ...], ...]
    """Of each member, the weight of each class."""
    mean: str
    """The scale on which members are averaged: probability or logit (ensemble/averaging.py)."""
    protocol: str
    """The protocol whose views each member gives."""
    task: Task
    classes: tuple[str, ...]


def of(
    predictor: Predictor, extract: ExtractConfig, pack: PackConfig, flow: FlowConfig | None = None
) -> Description | SoundDescription:
    """The description of a trained model, whose videos are extracted and packed so, and their flow computed so."""
    clip, spec = predictor.clip, predictor.checkpoint.input
    common: dict[str, Any] = {
        "model": predictor.name,
        "arch": predictor.meta["arch"],
        "weights_sha256": predictor.meta["checkpoint"],
        "task": predictor.task,
        "classes": predictor.checkpoint.classes,
        "grid": predictor.grid,
        "protocol": FINAL,
        "extract": extract,
    }
    if isinstance(clip, ClipConfig):
        assert isinstance(spec, InputSpec)
        common |= {"input": spec, "sampler": clip.sampler, "pack": pack}
        if clip.input == "frames":
            return Description(**common)
        assert flow is not None
        named = None if flow.folder is None else Path(flow.folder).name  # where it lies is nobody else's business
        return FlowDescription(**common, flow=replace(flow, folder=named))
    assert isinstance(spec, MelSpec)
    return SoundDescription(**common, input=spec, samples=clip.samples)


def entries(description: Any) -> dict[str, str]:
    """A description as the entries of a file's metadata."""
    return {name: json.dumps(value) for name, value in params.plain(description).items()}


def read(cls: type[T], metadata: Mapping[str, str], where: str) -> T:
    """The description that `entries` wrote; `where` names the file in messages.

    Raises:
        UserError: it is none of this class, or of another version of this pipeline.
    """
    names = [field.name for field in dataclasses.fields(cls)]  # type: ignore[arg-type]  # which T is
    try:
        found = {name: json.loads(metadata[name]) for name in names}
    except (KeyError, ValueError) as error:
        raise UserError(
            f"{where} does not say its {error}: it is no file of `pipeline export`. That command makes one."
        ) from error
    return params.build(cls, found, where)


def read_model(metadata: Mapping[str, str], where: str) -> Description | SoundDescription:
    """The description of a model, whatever it takes.

    Raises:
        UserError: as `read`.
    """
    if "samples" in metadata:
        return read(SoundDescription, metadata, where)
    return read(FlowDescription if "flow" in metadata else Description, metadata, where)
