"""Cells of a frozen encoder's patches, with an encoder that says where each patch is. The real ones need an extra."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pipeline.layers.video_encoders import VideoProbe

PATCHES = (2, 4, 6)


class Places(nn.Module):
    """Says of each patch its number along time, height and width, whatever it sees."""

    def forward(self, frames: Tensor) -> Any:
        axes = torch.meshgrid(*(torch.arange(n, dtype=torch.float32) for n in PATCHES), indexing="ij")
        places = torch.stack(axes, dim=-1).flatten(0, 2)
        return SimpleNamespace(last_hidden_state=places.expand(len(frames), -1, -1))


def probe(**changes: Any) -> VideoProbe:
    options: dict[str, Any] = {
        "frames": 4, "size": 24, "patches": PATCHES, "grid": (2, 2, 3), "channels": 3, "heads": 1, "head": "attentive",
        "pool_width": 8, "pool_heads": 2,
    }  # fmt: skip
    return VideoProbe(Places(), 5, **options | changes)


def clips(frames: int = 4, height: int = 24, width: int = 24) -> Tensor:
    return torch.zeros(2, 3, frames, height, width)


def test_a_cell_is_the_mean_of_its_patches_moment_by_moment_and_row_by_row():
    found = probe().features(clips()).view(2, 2, 2, 3, 3)
    for moment, time in enumerate((0.0, 1.0)):
        for row, height in enumerate((0.5, 2.5)):
            for column, width in enumerate((0.5, 2.5, 4.5)):
                assert found[1, moment, row, column].tolist() == [time, height, width]


def test_one_cell_is_the_mean_of_all_patches():
    assert probe(grid=(1, 1, 1)).features(clips()).tolist() == [[0.5, 1.5, 2.5]] * 2


def test_a_linear_head_reads_the_mean_over_the_moments_and_what_changes():
    network = probe(head="linear", grid=(2, 1, 1))
    mean, change = network.parts(torch.tensor([[1.0, 2.0, 3.0, 5.0, 2.0, -1.0]])).split([3, 3], dim=1)
    assert mean.tolist() == [[3.0, 2.0, 1.0]]
    assert change.tolist()[0] == pytest.approx([-(2**-0.5) * 2, 0, 2**-0.5 * 2])  # cos(pi / 4) (first - second) / 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"grid": (3, 2, 3)}, "moments=3, rows=2, columns=3 must divide the 2 x 4 x 6 patches"),
        ({"grid": (2, 0, 3)}, "rows=0"),
        ({"pool_width": 9}, "width, 9, must be a multiple of the number of its heads, 2"),
        ({"head": "mean"}, "head='mean' is none of auto, attentive, linear"),
    ],
)
def test_options_that_cannot_be_are_refused(options, said):
    with pytest.raises(ValueError, match=said):
        probe(**options)


@pytest.mark.parametrize("given", [clips(frames=2), clips(height=32), clips(width=32)])
def test_clips_of_another_size_are_refused_before_the_encoder_sees_them(given):
    with pytest.raises(ValueError, match=r"built for 4 of 24 x 24. Draw clips of 4 frames, with `crop: 24`"):
        probe().features(given)
