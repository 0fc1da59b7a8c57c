"""Temporal interlacing: move channel groups through time by learnt, fractional distances.

Shao, Qian, Liu: "Temporal Interlacing Network", AAAI 2020, arXiv:2001.06499. Where the authors' code differs
from the paper, this follows the code: the range of the offsets does not grow with the number of frames.

The authors sample with a CUDA kernel. Moving frames is linear in the frames, so here it is a product with a
small (T, T) matrix per clip and group. That runs on any device and in any floating type, and its backward
pass needs neither a scatter (slow, and on a GPU not repeatable) nor anything kept but the moved frames
themselves.
"""

import math
from typing import cast

import torch
from torch import Tensor, nn

OFFSET_SPAN = 4.0
"""Width of the range of offsets in frames: they lie within +-OFFSET_SPAN / 2, however long the clip is."""
LEARNT_GROUPS = 2
GROUPS = 2 * LEARNT_GROUPS
"""Number of channel groups: each learnt offset moves one, and its negative another."""


class TemporalInterlace(nn.Module):
    """Module that moves the first 1/`shift_div` of the channels in time, in four groups, and weights them.

    Two small networks look at the spatial mean of these channels. One gives two offsets a clip, and the four
    groups move by o1, o2, -o1 and -o2 frames. The other gives two weights a frame, which scale the groups as
    w1, w2, w1, w2.

    The layer stands inside a 2D network, which sees the frames of all clips as one batch, clip after clip.

    Shape: (N*T, C, H, W) -> (N*T, C, H, W), with T = `frames`, which is also a size of the offset network.

    Args:
        channels: C.
        frames: T.
        shift_div: 1 / `shift_div` of the channels moves.
        offset_init: initial value of the two offsets, in frames. It sets a bias; the other weights are random and
            scatter the offsets around it.
    """

    def __init__(self, channels: int, frames: int, shift_div: int = 4, offset_init: float = 0.5) -> None:
        super().__init__()
        if shift_div < 1 or frames < 1:
            raise ValueError(f"shift_div={shift_div} and frames={frames} must be at least 1.")
        if channels % (shift_div * GROUPS):
            raise ValueError(
                f"{channels} channels / shift_div {shift_div} do not divide into {GROUPS} groups. "
                f"Use a wider backbone or a smaller shift_div."
            )
        self.frames = frames
        self.moved = channels // shift_div
        self.offset_net = OffsetNet(self.moved, frames, offset_init)
        self.weight_net = nn.Conv1d(self.moved, LEARNT_GROUPS, kernel_size=3, padding=1)
        nn.init.zeros_(cast(Tensor, self.weight_net.bias))  # so that the weights start around 1

    def forward(self, x: Tensor) -> Tensor:
        """Interlace every clip of the batch."""
        clips = x.unflatten(0, (-1, self.frames))  # (N, T, C, H, W)
        # Not tensor_split: its backward pass fills two tensors of all channels with zeros, and adds them.
        moving, still = clips.split([self.moved, x.shape[1] - self.moved], dim=2)

        summary = moving.mean(dim=(3, 4)).transpose(1, 2)  # (N, moved, T)
        offsets = self.offset_net(summary)  # (N, 2)
        offsets = torch.cat([offsets, -offsets], dim=1)  # (N, 4)
        weights = 2 * self.weight_net(summary).sigmoid()  # (N, 2, T), each in (0, 2)
        weights = weights.repeat(1, 2, 1)  # (N, 4, T)

        # A weight belongs to the frame that is written, so it scales that frame's row of the matrix.
        mixing = weights.unsqueeze(3) * motion(offsets, self.frames)  # (N, 4, T, T)
        moving = mix_frames(moving, mixing)
        return torch.cat([moving, still], dim=2).flatten(0, 1)


class OffsetNet(nn.Module):
    """Network that learns the offsets: (N, `channels`, T) -> LEARNT_GROUPS offsets a clip in frames, (N, 2)."""

    def __init__(self, channels: int, frames: int, offset_init: float) -> None:
        super().__init__()
        if not abs(offset_init) < OFFSET_SPAN / 2:
            limit = OFFSET_SPAN / 2
            raise ValueError(f"offset_init={offset_init}: offsets lie between -{limit} and {limit} frames.")
        self.conv = nn.Conv1d(channels, 1, kernel_size=3, padding=1)
        self.hidden = nn.Linear(frames, frames)
        self.out = nn.Linear(frames, LEARNT_GROUPS)
        start = offset_init / OFFSET_SPAN + 0.5
        nn.init.constant_(self.out.bias, math.log(start / (1 - start)))  # undoes the sigmoid below

    def forward(self, summary: Tensor) -> Tensor:
        """Reduce each frame to one number, then apply a perceptron over the frames."""
        per_frame = self.conv(summary).squeeze(1)  # (N, T)
        raw: Tensor = self.out(self.hidden(per_frame).relu())
        return OFFSET_SPAN * (raw.sigmoid() - 0.5)


def motion(offsets: Tensor, frames: int) -> Tensor:
    """Matrices (N, G, T, T) that move clips by offsets in frames (N, G), to later where these are positive.

    Row t holds what frame t is made of. It should come from time t - offset, so the two frames around that
    time share it by their distance; a frame outside the clip has no column, and counts as zero. With
    offset 0.25 and T = 3:

        frame 0    0.75  0     0
        frame 1    0.25  0.75  0
        frame 2    0     0.25  0.75

    The gradient reaches an offset through the two shares; at a whole offset, it is that of a larger one.
    """
    time = torch.arange(frames, device=offsets.device)
    lag = time.unsqueeze(1) - time  # (T, T): by how many frames row t is later than column s
    offsets = offsets[:, :, None, None]
    whole = offsets.floor()
    fraction = offsets - whole
    return (1 - fraction) * (lag == whole) + fraction * (lag == whole + 1)


def mix_frames(clips: Tensor, mixing: Tensor) -> Tensor:
    """Mix the frames of clips (N, T, C, ...) by matrices (N, G, T, T): matrix g mixes channel group g."""
    batch, frames = clips.shape[:2]
    groups = clips.reshape(batch, frames, mixing.shape[1], -1).transpose(1, 2)  # (N, G, T, C/G * ...)
    return (mixing @ groups).transpose(1, 2).reshape(clips.shape)
