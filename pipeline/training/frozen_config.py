"""The recipe of a model whose network is frozen: a probe or an encoder, and how a head on its features is fitted."""

from dataclasses import dataclass

from torch import nn

from pipeline.core import params
from pipeline.core.errors import UserError
from pipeline.layers.log_mel import MelSpec
from pipeline.layers.normalize import InputSpec
from pipeline.losses import auto
from pipeline.training.config import LossConfig, NetworkConfig

PROBE = "probe"
ENCODERS = ("encoder", "videoprism_probe", "vjepa2_probe")
FROZEN = (PROBE, *ENCODERS)
"""The architectures whose network is frozen: a ProbeConfig or an EncoderConfig says how their head is fitted."""


@dataclass(frozen=True)
class ProbeTrainConfig:
    """Section `models.<name>.train` of a probe: how the linear layer on its features is fitted."""

    pretrained: str
    """What the frozen network is: `imagenet` for the weights that timm has of options.backbone, the path of a file, or
    the folder of a network of transformers."""
    decays: tuple[float, ...]
    """Weight decays that are compared, the highest first: half of it times the squared norm of the weights is added to
    the cross-entropy. The features have a mean squared norm of 1."""
    appearance: tuple[float, ...]
    """Weights that are compared of what is there beside what changes, 0 or more."""
    folds: int
    """Parts of the cross-validation over the train videos that chooses among them, at least 2; as many as there are
    groups where those are fewer."""
    most: int
    """Most train videos that choose; all of them train. Time grows with the third power."""
    seed: int
    """Seed of the parts, 0 or more."""
    loss: LossConfig
    """auto: the probe has the loss of the task."""

    def __post_init__(self) -> None:
        falling = bool(self.decays) and list(self.decays) == sorted(self.decays, reverse=True) and self.decays[-1] > 0
        params.require(
            (falling, "decays must be positive, the highest first"),
            (bool(self.appearance) and min(self.appearance) >= 0, "appearance must hold weights of 0 or more"),
            (self.folds >= 2 and self.most >= 2, "folds and most must be at least 2"),
            (0 <= self.seed < 2**31, "seed must lie in 0 .. 2147483647"),
            (self.loss.name == auto.NAME, f"loss.name of a probe is {auto.NAME}"),
        )


@dataclass(frozen=True)
class AttentiveConfig:
    """Section `models.<name>.train.attentive` of an encoder: how an attentive head on its features is trained.

    AdamW, with the learning rate along half a cosine after a warm-up of a tenth.
    """

    rates: tuple[float, ...]
    """Learning rates that are compared, above 0."""
    decays: tuple[float, ...]
    """Weight decays that are compared with each of them, 0 or more."""
    epochs: int
    """Passes over the train videos, at least 1."""
    batch: int
    """Videos a step, at least 1."""

    def __post_init__(self) -> None:
        params.require(
            (bool(self.rates) and min(self.rates) > 0, "rates must hold learning rates above 0"),
            (bool(self.decays) and min(self.decays) >= 0, "decays must hold weight decays of 0 or more"),
            (self.epochs >= 1 and self.batch >= 1, "epochs and batch must be at least 1"),
        )


@dataclass(frozen=True)
class EncoderTrainConfig(ProbeTrainConfig):
    """How the head of a frozen network is fitted, be it linear or attentive.

    `decays` and `appearance` are of a linear head, the only one that the architecture `probe` has, and `attentive` is
    of the other.
    """

    attentive: AttentiveConfig


@dataclass(frozen=True)
class ProbeConfig(NetworkConfig):
    """The same of a probe."""

    train: ProbeTrainConfig

    @property
    def crop(self) -> int:
        """Side of the square that the layer is fitted on, in pixels."""
        return self.clip.crop


@dataclass(frozen=True)
class EncoderConfig(ProbeConfig):
    """The same of an encoder."""

    train: EncoderTrainConfig

    def build(self, classes: int) -> tuple[nn.Module, InputSpec | MelSpec]:
        """As NetworkConfig does; the encoder sees clips of `options.size`."""
        network, spec = super().build(classes)
        if self.options.get("size", self.clip.crop) != self.clip.crop:
            raise UserError(f"clip.crop: must be options.size, {self.options['size']}, not {self.clip.crop}.")
        return network, spec
