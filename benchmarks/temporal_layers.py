"""What looking along time costs a 2D network, and the layers for it against their plain formulas.

    python benchmarks/temporal_layers.py [clips pixels]        # --smoke: one round of one clip of 32 pixels
    python benchmarks/temporal_layers.py --layers              # the second part alone

First part: forward and backward of whole networks (ResNet-50, 8 frames, 2 clips of 112 pixels unless told
otherwise), as ratios to TSN. Every round measures all of them, beginning with another one each time, and the
ratio is the median over rounds, so that a change in the machine's speed meets all alike. `copy` is TSN whose residual
branches copy their input, about the least that a layer in that place costs. Second part: one layer on the
frames of 2 clips (256 channels, 28 pixels), in copies of its tensor, and as published: frames copied into slices of
zeros, group by group. Memory is what autograd keeps from forward to backward, in multiples of the input. CPU time, 2
threads.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from pipeline.layers.backbone import insert_temporal
from pipeline.layers.interlace import TemporalInterlace
from pipeline.layers.shift import TemporalShift
from pipeline.models import tin, tsm, tsn

FRAMES = 8
ROUNDS = 15


def step_seconds(network: Callable[[Tensor], Tensor], x: Tensor) -> float:
    start = time.process_time()
    network(x).sum().backward()
    return time.process_time() - start


def compare(networks: dict[str, Callable[[Tensor], Tensor]], x: Tensor, rounds: int) -> dict[str, list[float]]:
    """CPU seconds of each network's steps, round by round."""
    times: dict[str, list[float]] = {name: [] for name in networks}
    names = list(networks)
    for round_ in range(-2, rounds):
        first = round_ % len(names)
        for name in names[first:] + names[:first]:
            seconds = step_seconds(networks[name], x)
            if round_ >= 0:
                times[name].append(seconds)
    return times


def kept(network: Callable[[Tensor], Tensor], x: Tensor) -> float:
    """What autograd keeps of a forward pass, in multiples of the input, each storage counted once."""
    storages: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        out = network(x)
    del out
    return sum(storages.values()) / x.nbytes


def plain_shift(x: Tensor) -> Tensor:
    clips = x.unflatten(0, (-1, FRAMES))
    part = x.shape[1] // 8
    out = torch.zeros_like(clips)
    out[:, :-1, :part] = clips[:, 1:, :part]
    out[:, 1:, part : 2 * part] = clips[:, :-1, part : 2 * part]
    out[:, :, 2 * part :] = clips[:, :, 2 * part :]
    return out.flatten(0, 1)


def moved(clip: Tensor, frames: int) -> Tensor:
    """A clip (T, ...) by whole frames, to later where positive."""
    out = torch.zeros_like(clip)
    if frames >= 0:
        out[frames:] = clip[: len(clip) - frames]
    else:
        out[:frames] = clip[-frames:]
    return out


def plain_interlace(layer: TemporalInterlace, x: Tensor) -> Tensor:
    clips = x.unflatten(0, (-1, FRAMES))
    moving, still = clips.tensor_split([layer.moved], dim=2)
    summary = moving.mean(dim=(3, 4)).transpose(1, 2)
    offsets = layer.offset_net(summary)
    offsets = torch.cat([offsets, -offsets], dim=1)
    weights = (2 * layer.weight_net(summary).sigmoid()).repeat(1, 2, 1)
    whole = offsets.detach().floor()
    out = torch.zeros_like(moving)
    size = layer.moved // offsets.shape[1]
    for n, clip in enumerate(moving):
        for g in range(offsets.shape[1]):
            group, lag = clip[:, g * size : (g + 1) * size], int(whole[n, g])
            fraction = offsets[n, g] - whole[n, g]
            mixed = (1 - fraction) * moved(group, lag) + fraction * moved(group, lag + 1)
            out[n, :, g * size : (g + 1) * size] = weights[n, g, :, None, None, None] * mixed
    return torch.cat([out, still], dim=2).flatten(0, 1)


class Copy(nn.Module):
    """The identity, in new memory."""

    def forward(self, x: Tensor) -> Tensor:
        """Copy."""
        return x.clone()


def ratio(times: dict[str, list[float]], name: str, to: str) -> float:
    """The median over rounds of what a step of one takes of the other's."""
    return statistics.median(a / b for a, b in zip(times[name], times[to], strict=True))


def networks_table(clips: int, pixels: int, rounds: int) -> None:
    copy = tsn.build(313, frames=FRAMES)
    insert_temporal(copy.backbone, lambda _: Copy())
    models: dict[str, nn.Module] = {
        "tsn": tsn.build(313, frames=FRAMES),
        "copy": copy,
        "tsm": tsm.build(313, frames=FRAMES),
        "tin": tin.build(313, frames=FRAMES),
    }
    times = compare(models, torch.randn(clips, 3, FRAMES, pixels, pixels), rounds)
    print(f"{f'{clips} clips of {pixels} pixels':24}{'ms':>8}{'to tsn':>9}")
    for name, seconds in times.items():
        print(f"{name:24}{1000 * statistics.median(seconds):8.0f}{ratio(times, name, 'tsn'):9.3f}")


def layers_table(clips: int, rounds: int) -> None:
    x = torch.randn(clips * FRAMES, 256, 28, 28, requires_grad=True)
    interlace = TemporalInterlace(256, FRAMES)
    layers: dict[str, Callable[[Tensor], Tensor]] = {
        "copy": Copy(),
        "shift": TemporalShift(FRAMES),
        "shift, plain": plain_shift,
        "interlace": interlace,
        "interlace, plain": lambda x: plain_interlace(interlace, x),
    }
    times = compare(layers, x, rounds)
    print(f"{'one layer':24}{'ms':>8}{'copies':>9}{'memory':>9}")
    for name, seconds in times.items():
        copies = ratio(times, name, "copy")
        print(f"{name:24}{1000 * statistics.median(seconds):8.2f}{copies:9.1f}{kept(layers[name], x):9.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("size", nargs="*", type=int, default=[2, 112], help="clips and pixels of the networks")
    parser.add_argument("--smoke", action="store_true", help="one round of one clip of 32 pixels")
    parser.add_argument("--layers", action="store_true", help="the second part alone")
    args = parser.parse_args()
    (clips, pixels), rounds = ((1, 32), 1) if args.smoke else (args.size, ROUNDS)
    torch.set_num_threads(2)
    torch.manual_seed(0)
    if not args.layers:
        networks_table(clips, pixels, rounds)
    layers_table(1 if args.smoke else 2, rounds)


if __name__ == "__main__":
    main()
