"""The recipe of a model that hears."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import torch

from pipeline.clips.inputs import Store
from pipeline.clips.sound_dataset import SoundClipConfig
from pipeline.layers.log_mel import MelSpec
from pipeline.training.config import ModelConfig, TrainConfig, epochs_of


@dataclass(frozen=True)
class HearingTrainConfig(TrainConfig):
    """Section `models.<name>.train` of a model that hears."""

    augment: None = None  # type: ignore[assignment]  # that of frames, of which there are none
    """null: windows are drawn at random, and the options of the architecture blank parts of a spectrogram."""


@dataclass(frozen=True)
class HearingConfig(ModelConfig):
    """The same of a model that hears."""

    clip: SoundClipConfig  # type: ignore[assignment]  # which has the methods of a ClipConfig
    train: HearingTrainConfig

    @property
    def clip_in_words(self) -> str:
        """What a clip is, and by which setting it would take less memory."""
        return f"{self.clip.seconds:g} s of sound (clip.seconds)"

    def content(self, store: Store) -> dict[str, str]:
        """What the recipe says of the sound that the network is trained on."""
        return {"sound": store.content_key()}

    def resolved(self, classes: Sequence[str], videos: int) -> Self:  # noqa: ARG002 - a sound has no mirror image
        """The same for a corpus of so many train videos: the epochs reach `train.least_steps`, which is then 0."""
        epochs = epochs_of(self.train.epochs, self.train.least_steps, self.train.batch, videos)
        return replace(self, train=replace(self.train, epochs=epochs, least_steps=0))

    def shape(self, crop: int | None = None) -> tuple[int, ...]:  # noqa: ARG002 - of frames alone
        """Shape of a clip as the network gets it: (1, mels, T)."""
        with torch.device("meta"):
            _, spec = self.build(classes=1)
        assert isinstance(spec, MelSpec)
        return 1, spec.mels, spec.frames(self.clip.samples)
