"""AST: a plain transformer over patches of a log-mel spectrogram, which overlap and all see one another.

Gong, Chung, Glass: "AST: Audio Spectrogram Transformer", Interspeech 2021, arXiv:2104.01778; the network is
transformers' own class. The image is Kaldi's: 128 bands from 20 to 8,000 Hz, of windows of 25 ms, 10 ms apart, and it
has as many columns for a shorter sound, of which the rest are of log-loudness 0, as in the library's preprocessing.
"""

from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from pipeline.layers.classifier import FeatureClassifier
from pipeline.layers.hugging_face import library
from pipeline.layers.log_mel import MelSpec
from pipeline.layers.spec_augment import SpecAugment

INPUT = MelSpec.kaldi(mels=128, columns=1024, mean=-4.2677393, std=2 * 4.5689974)
"""AudioSet's mean, and twice its deviation, with which the published weights were trained."""
EXTRA = "hf"
PACKAGES = ("transformers",)


def build(
    num_classes: int,
    *,
    mels: int = 128,
    columns: int = 1024,
    patch: int = 16,
    frequency_stride: int = 10,
    time_stride: int = 10,
    width: int = 768,
    depth: int = 12,
    heads: int = 12,
    dropout: float = 0.0,
    mask_bands: float = 0.0,
    mask_time: float = 0.0,
) -> nn.Module:
    """AST: spectrograms (N, 1, `mels`, `columns`) -> logits (N, C).

    The defaults are AST-B of AudioSet.

    Args:
        num_classes: C.
        mels: bands.
        columns: windows of a spectrogram, 100 a second; a shorter sound is followed by columns of log-loudness 0.
        patch: side of a patch in bands and columns.
        frequency_stride: bands from a patch to the next; less than `patch` makes them overlap.
        time_stride: the same in columns.
        width: channels, a multiple of `heads`.
        depth: blocks.
        heads: heads of attention in each block.
        dropout: dropout probability before the classifier.
        mask_bands: largest share of the bands that is blanked in training, see `SpecAugment`; 0: none.
        mask_time: the same of the time.
    """
    strides = {"frequency_stride": frequency_stride, "time_stride": time_stride}
    _check_patches(mels, columns, patch, *strides.values())
    _check_blocks(width, depth, heads)
    config = library().ASTConfig(
        num_mel_bins=mels,
        max_length=columns,
        patch_size=patch,
        **strides,
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=depth,
        num_attention_heads=heads,
    )
    hears, masks = replace(INPUT, mels=mels, columns=columns), SpecAugment(mask_bands, mask_time)
    return SpectrogramTransformer(_encoder(config), width, num_classes, dropout, hears, masks, **strides, heads=heads)


def _encoder(config: Any) -> nn.Module:
    network = library().ASTModel(config)
    nn.init.trunc_normal_(network.embeddings.position_embeddings, std=0.02)  # the authors'; the library's are all 0
    return PooledPatches(network, nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps))


def _check_blocks(width: int, depth: int, heads: int) -> None:
    if min(width, depth, heads) < 1 or width % heads:
        raise ValueError(f"width={width} must be a multiple of heads={heads}, and depth={depth} at least 1.")


def _check_patches(mels: int, columns: int, patch: int, frequency_stride: int, time_stride: int) -> None:
    if min(patch, frequency_stride, time_stride) < 1 or min(mels, columns) < patch:
        raise ValueError(
            f"mels={mels} and columns={columns} must be at least patch={patch}, and it, frequency_stride="
            f"{frequency_stride} and time_stride={time_stride} at least 1."
        )


class SpectrogramTransformer(FeatureClassifier):
    """Transformer for spectrograms of one size, and a linear layer behind it. See `build`.

    Shape: (N, 1, `mels`, `columns`) -> (N, C).

    Args:
        hears: the image that it takes, as `NetworkConfig.build` asks for it.
        silent: options that change what the network computes but none of its tensors, besides `mels` and `columns`;
            they are attributes of this module, with which pretrained weights are compared.
    """

    def __init__(
        self, backbone: nn.Module, channels: int, num_classes: int, dropout: float, hears: MelSpec, masks: SpecAugment,
        **silent: Any,
    ) -> None:  # fmt: skip
        super().__init__(backbone, channels, num_classes, dropout=dropout)
        self.hears, self.masks = hears, masks
        self.mels, self.columns = hears.mels, hears.columns
        for name, value in silent.items():
            setattr(self, name, value)

    def features(self, clip: Tensor) -> Tensor:
        """Spectrograms (N, 1, `mels`, `columns`) -> what the linear layer reads (N, channels)."""
        mels, columns = clip.shape[2:]
        if (mels, columns) != (self.mels, self.columns):
            raise ValueError(
                f"The spectrogram has {mels} bands and {columns} columns, but the network's positions are built for "
                f"{self.mels} and {self.columns}. Build and train the model with its options `mels: {mels}` and "
                f"`columns: {columns}`."
            )
        return super().features(self.masks(clip))


class PooledPatches(nn.Module):
    """AST's transformer, and the norm of the mean of its two tokens, class and distillation.

    Shape: (N, 1, M, T) -> (N, width).
    """

    def __init__(self, network: Any, norm: nn.LayerNorm) -> None:
        super().__init__()
        self.network, self.norm = network, norm

    def forward(self, spectrograms: Tensor) -> Tensor:
        """Spectrograms -> features."""
        found: Tensor = self.norm(self.network(spectrograms[:, 0].transpose(1, 2)).pooler_output)
        return found
