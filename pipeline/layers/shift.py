"""Temporal shift: neighbouring frames swap some of their channels, without any arithmetic.

Lin, Gan, Han: "TSM: Temporal Shift Module for Efficient Video Understanding", ICCV 2019, arXiv:1811.08383.
This is the offline form, which looks both ways in time.
"""

import torch
from torch import Tensor, nn


class TemporalShift(nn.Module):
    """Module that takes one part of the channels from the next frame, one from the previous, and leaves the rest.

    A part is C // `shift_div` channels. What would come from outside the clip is zero. The module stands
    inside a 2D network, which sees the frames of all clips as one batch, clip after clip.

    Shape: (N*T, C, H, W) -> (N*T, C, H, W), with T = `frames`.
    """

    def __init__(self, frames: int, shift_div: int = 8) -> None:
        super().__init__()
        if shift_div < 2:
            raise ValueError(f"shift_div={shift_div}: two parts are moved, so it must be 2 or more.")
        self.frames = frames
        self.shift_div = shift_div

    def forward(self, x: Tensor) -> Tensor:
        """Shift every clip of the batch."""
        clips = x.unflatten(0, (-1, self.frames))  # (N, T, C, H, W)
        channels = x.shape[1]
        part = channels // self.shift_div
        from_next, from_previous, still = clips.split([part, part, channels - 2 * part], dim=2)
        nothing = torch.zeros_like(from_next[:, :1])  # (N, 1, part, H, W)

        # Joining, not writing into slices of a new tensor: several times faster in the backward pass.
        from_next = torch.cat([from_next[:, 1:], nothing], dim=1)
        from_previous = torch.cat([nothing, from_previous[:, :-1]], dim=1)
        return torch.cat([from_next, from_previous, still], dim=2).flatten(0, 1)

    def extra_repr(self) -> str:
        """Show the two numbers in print(model)."""
        return f"frames={self.frames}, shift_div={self.shift_div}"
