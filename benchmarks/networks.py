"""Steps of our networks against those of the libraries beside them: timm's ResNet-50 and torchvision's 3D ResNets.

    python benchmarks/networks.py        # --smoke: one round of small clips, two networks of each kind

Forward and backward of two clips on a CPU with one thread: 8 frames of 112 pixels, which are 16 images for timm.
Rounds take turns, and a ratio is the median over rounds. Networks of the same name differ in stem and
pooling, so what compares is the GMACs of a forward pass that a CPU second holds, three times which a step takes.
"""

import argparse
import statistics
from collections.abc import Callable

import timm
import torch
import torchvision
from temporal_layers import compare, ratio
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from pipeline.models import r2plus1d, r3d, tin, tsm, tsn
from pipeline.runtime.allocator import keep_freed_memory

CLASSES, FRAMES = 313, 8


class Images(nn.Module):
    """A network for images, which sees the frames of clips (N, 3, T, H, W) as N*T images."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, clips: Tensor) -> Tensor:
        """Logits of all frames."""
        logits: Tensor = self.network(clips.transpose(1, 2).flatten(0, 1))
        return logits


TWO_D: dict[str, Callable[[], nn.Module]] = {
    "resnet50 (timm)": lambda: Images(timm.create_model("resnet50", num_classes=CLASSES)),
    "tsn": lambda: tsn.build(CLASSES, frames=FRAMES),
    "tsm": lambda: tsm.build(CLASSES, frames=FRAMES),
    "tin": lambda: tin.build(CLASSES, frames=FRAMES),
}
THREE_D: dict[str, Callable[[], nn.Module]] = {
    "r3d_18 (torchvision)": lambda: torchvision.models.video.r3d_18(num_classes=CLASSES),
    "r3d": lambda: r3d.build(CLASSES),
    "r2plus1d_18 (torchvision)": lambda: torchvision.models.video.r2plus1d_18(num_classes=CLASSES),
    "r2plus1d": lambda: r2plus1d.build(CLASSES),
}


def gmacs(network: nn.Module, clips: Tensor) -> float:
    """Billions of multiplications of a forward pass."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(clips)
    return counter.get_total_flops() / 2e9


def table(builders: dict[str, Callable[[], nn.Module]], clips: Tensor, rounds: int) -> None:
    """Print a row for each network; ratios are to the first."""
    networks = {name: build() for name, build in builders.items()}
    times, first = compare(dict(networks), clips, rounds), next(iter(networks))
    print(f"{f'{len(clips)} clips of {clips.shape[-1]} pixels':28}{'GMACs':>8}{'CPU ms':>9}{'GMACs/s':>9}{'to 1st':>8}")
    for name, seconds in times.items():
        work, middle = gmacs(networks[name], clips), statistics.median(seconds)
        print(f"{name:28}{work:8.2f}{1000 * middle:9.0f}{work / middle:9.1f}{ratio(times, name, first):8.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="one round of small clips")
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    smoke = args.smoke
    torch.set_num_threads(1)
    torch.manual_seed(0)
    keep_freed_memory()
    pixels, rounds = (32, 1) if smoke else (112, args.rounds)
    for builders, some in ((TWO_D, 2), (THREE_D, 2)):
        chosen = dict(list(builders.items())[:some]) if smoke else builders
        table(chosen, torch.randn(2, 3, FRAMES, pixels, pixels), rounds)


if __name__ == "__main__":
    main()
