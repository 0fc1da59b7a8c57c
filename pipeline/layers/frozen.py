"""Networks whose backbone is never trained: what it says of a clip is computed once, and a small head reads that."""

import math
from typing import ClassVar, Literal, Self, get_args

import torch
from torch import Tensor, nn

from pipeline.layers.attentive import AttentivePool

Head = Literal["auto", "attentive", "linear"]
"""How features are read; auto: training takes the one that reads them better, and until then it is attentive."""
OPEN: Head = "auto"


class Frozen(nn.Module):
    """A frozen backbone that sees T frames, and a head on the features that it gives.

    Shape: (N, 3, T, H, W) -> (N, C).

    Attributes:
        sizes: numbers of features in the parts of `parts`, in their order: two a scale, what is there and what changes.
        classifier: the layer that has a row for each class.
        attentive: whether steps of an optimiser train the head; else it is one linear layer on `parts`.
    """

    HEAD_OPTIONS: ClassVar[tuple[str, ...]] = ()
    """Options of `build` on which the features do not depend."""
    sizes: tuple[int, ...]
    classifier: nn.Linear
    attentive = False

    def __init__(self, backbone: nn.Module, frames: int) -> None:
        super().__init__()
        self.backbone, self.frames = backbone.requires_grad_(False), frames

    @property
    def dimension(self) -> int:
        """Number of features D of a clip."""
        return sum(self.sizes)

    def features(self, clip: Tensor) -> Tensor:
        """What the head reads of clips (N, 3, T, H, W): float32 (N, D)."""
        raise NotImplementedError

    def parts(self, features: Tensor) -> Tensor:
        """Features (N, D) as a linear layer reads them, (N, D), in parts of `sizes`."""
        return features

    def read(self, features: Tensor) -> Tensor:
        """Features (N, D) -> logits (N, C)."""
        logits: Tensor = self.classifier(self.parts(features))
        return logits

    def forward(self, clip: Tensor) -> Tensor:
        """Clips (N, 3, T, H, W) -> logits (N, C)."""
        return self.read(self.features(clip))

    def images(self, clip: Tensor) -> Tensor:
        """The frames of clips (N, 3, T, H, W) one after another, (N T, 3, H, W).

        Raises:
            ValueError: the clips have another number of frames than the network is built for.
        """
        if clip.shape[2] != self.frames:
            raise ValueError(
                f"The clip has {clip.shape[2]} frames, but the probe is built for {self.frames}. Draw clips of "
                f"{self.frames} frames, or build and train the model with its option `frames: {clip.shape[2]}`."
            )
        return clip.transpose(1, 2).flatten(0, 1)

    def train(self, mode: bool = True) -> Self:
        """Set the mode of the head; the frozen backbone stays in eval mode."""
        super().train(mode)
        self.backbone.eval()
        return self


class FrozenTokens(Frozen):
    """Frozen backbone that says the same number of tokens of each of S moments, and a head that reads them all.

    Shape: (N, 3, T, H, W) -> (N, C). Its features are the tokens of a moment one after another, moment by moment.

    Args:
        frames: T.
        moments: S.
        tokens: of a moment.
        channels: numbers of a token.
        head: `linear` reads the mean over the moments and how they change; `attentive` has a learned query that looks
            at all tokens; see Head.
        width: numbers that the attentive head projects each token to, a multiple of `heads`.
        heads: of its attention.
    """

    changes: Tensor

    def __init__(
        self, backbone: nn.Module, num_classes: int, *, frames: int, moments: int, tokens: int, channels: int,
        head: Head, width: int, heads: int,
    ) -> None:  # fmt: skip
        if head not in get_args(Head):
            raise ValueError(f"head={head!r} is none of {', '.join(get_args(Head))}.")
        if head != "linear" and (min(width, heads) < 1 or width % heads):
            raise ValueError(f"The head's width, {width}, must be a multiple of the number of its heads, {heads}.")
        super().__init__(backbone, frames)
        self.attentive, self.moments, self.channels = head != "linear", moments, channels
        self.sizes = (tokens * channels, tokens * channels * (moments - 1))
        if self.attentive:
            self.pool = AttentivePool(moments * tokens, channels, width, heads)
            self.classifier = nn.Linear(width, num_classes)
        else:
            self.register_buffer("changes", slow_changes(moments), persistent=False)
            self.classifier = nn.Linear(sum(self.sizes), num_classes)
            nn.init.zeros_(self.classifier.weight)
        nn.init.zeros_(self.classifier.bias)

    def parts(self, features: Tensor) -> Tensor:
        """The mean over the moments, and the changes, which are those of the model `probe`."""
        moments = features.unflatten(1, (self.moments, -1))
        return torch.cat([moments.mean(dim=1), (self.changes @ moments).flatten(1)], dim=1)

    def read(self, features: Tensor) -> Tensor:
        """Features (N, D) -> logits (N, C)."""
        if not self.attentive:
            return super().read(features)
        logits: Tensor = self.classifier(self.pool(features.unflatten(1, (-1, self.channels))))
        return logits


def slow_changes(frames: int) -> Tensor:
    """Matrix (T - 1, T) of the orthonormal cosine transform of T frames, without its mean, row k divided by 1 + k."""
    k, t = torch.arange(1, frames)[:, None], torch.arange(frames)[None]
    return torch.cos(math.pi * (t + 0.5) * k / frames) * math.sqrt(2 / frames) / (1 + k)
