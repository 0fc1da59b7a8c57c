"""Networks of the library transformers, which is an extra, and the linear layer behind them.

They are built from settings alone, and get their weights as all models here do: the library fetches nothing.
"""

from typing import Any, Self

import torch
from torch import Tensor, nn

from pipeline.core.errors import UserError
from pipeline.layers.classifier import FeatureClassifier


def library() -> Any:
    """The package `transformers`.

    Raises:
        UserError: it is not installed; the message begins with the setting that asks for it.
    """
    try:
        import transformers  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        raise UserError(
            f"arch: its network is one of transformers, a package that is missing here ({error}). "
            "Install it: `python -m pip install --constraint constraints.txt --editable '.[hf]'`."
        ) from error
    if not hasattr(transformers, "VideoPrismVisionConfig"):  # the youngest of the networks that models here take
        raise UserError(
            f"arch: its network is one of transformers, of which version {transformers.__version__} here is too old. "
            "Install another: `python -m pip install --constraint constraints.txt --editable '.[hf]'`."
        )
    return transformers


def require_size(clip: Tensor, frames: int, size: int) -> None:
    """Refuse clips (N, 3, T, H, W) of another number of frames, or of other pixels than `size` x `size`."""
    given, height, width = clip.shape[2:]
    if (given, height, width) != (frames, size, size):
        raise ValueError(
            f"The clip has {given} frames of {height} x {width} pixels, but the network's positions are built for "
            f"{frames} of {size} x {size}. Draw clips of {frames} frames, with `crop: {size}` in clip, train.augment "
            f"and test, or build and train the model with its options `frames: {given}` and `size: {height}`."
        )


class ClipTransformer(FeatureClassifier):
    """Transformer for clips of one size, and a linear layer behind it.

    Shape: (N, 3, T, H, W) with T = `frames` and H = W = `size` -> (N, `num_classes`).

    Args:
        backbone: network that maps clips to features (N, `channels`).
        silent: options that change what the network computes but none of its tensors, besides `frames` and `size`;
            they are attributes of this module, with which pretrained weights are compared.
    """

    def __init__(
        self, backbone: nn.Module, channels: int, num_classes: int, *, dropout: float, frames: int, size: int,
        **silent: Any,
    ) -> None:  # fmt: skip
        super().__init__(backbone, channels, num_classes, dropout=dropout)
        self.frames, self.size = frames, size
        for name, value in silent.items():
            setattr(self, name, value)

    def features(self, clip: Tensor) -> Tensor:
        """Clips (N, 3, T, H, W) -> what the linear layer reads (N, channels)."""
        require_size(clip, self.frames, self.size)
        return super().features(clip)


class FrozenEncoder(nn.Module):
    """Encoder of videos that is never trained, and a head that reads what it says of every patch.

    Shape: clips (N, 3, T, H, W) -> (N, width).

    Args:
        encoder: network of transformers over frames (N, T, 3, H, W). It has no gradients, and stays in eval mode.
        head: network that maps the patches (N, P, width) to features (N, width).
    """

    def __init__(self, encoder: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.encoder, self.head = encoder.requires_grad_(False).eval(), head

    def forward(self, clip: Tensor) -> Tensor:
        """Clips -> features."""
        with torch.no_grad():
            patches = self.encoder(clip.transpose(1, 2)).last_hidden_state
        features: Tensor = self.head(patches)
        return features

    def train(self, mode: bool = True) -> Self:
        """Set the mode of the head; the encoder stays in eval mode."""
        super().train(mode)
        self.encoder.eval()
        return self
