"""All files of an exported model, or of the ensemble, in one new folder; it is there whole or not at all."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.core import checksums, files
from pipeline.core.errors import UserError
from pipeline.export import card, description, graphs
from pipeline.export.description import Description, FusionDescription, MemberFile, SoundDescription
from pipeline.export.figures import Figures
from pipeline.export.fusion import Fusion
from pipeline.export.spectrogram import HeardNetwork, SoundGraph
from pipeline.inference.predictor import Predictor
from pipeline.layers.normalize import normalize

ONNX, PROGRAM = ".onnx", ".pt2"
CARD = "README.md"
FUSION = f"ensemble{ONNX}"
"""No model may bear that name."""
BATCHES = (1, 3)
"""Numbers of clips with which a file is compared with the network."""
_EXAMPLE = 2
"""Length of an axis of any length in the inputs that an exporter follows: it takes 0 and 1 for fixed ones."""
_INPUT, _SOUNDS, _OUTPUT, _ANSWER = "clips", "sounds", "logits", "probabilities"
SEES = "sees"
"""Input of a fusion graph: which members have something to look at, or to hear, in which videos."""


@dataclass(frozen=True)
class Exported:
    """A trained model, and what its file says of it."""

    predictor: Predictor
    description: Description | SoundDescription


def write_model(model: Exported, figures: Figures, suffixes: Sequence[str], out: Path, threads: int) -> None:
    """Write a model in one format or both (`ONNX`, `PROGRAM`), and its card, to the folder `out`.

    Raises:
        UserError: `out` is there already, or a file does not answer as the network does.
    """
    with _new_folder(out) as folder:
        differences = {suffix: _write(model, folder, suffix, threads) for suffix in suffixes}
        told = card.of_model(model.description, model.predictor.checkpoint.recipe, figures, differences)
        files.write_text(folder / CARD, told)


def write_ensemble(
    members: Sequence[Exported], weights: np.ndarray, mean: str, protocol: str, figures: Figures, out: Path,
    threads: int,
) -> None:  # fmt: skip
    """Write a graph for each member, one that fuses their logits, and a card, to the folder `out`.

    Args:
        weights: of each member and class, (M, C).
        mean: probability or logit.
        protocol: the protocol whose views are fused.

    Raises:
        UserError: as `write_model`; or the mean is another one.
    """
    partial = any(member.description.takes != "frames" for member in members)
    network = Fusion(weights, mean, members[0].description.task, partial=partial)
    with _new_folder(out) as folder:
        differences = {member.description.model: _write(member, folder, ONNX, threads) for member in members}
        told = _describe([member.description for member in members], weights, mean, protocol)
        differences[FUSION] = _write_fusion(network, told, folder / FUSION, threads)
        recipes = {member.description.model: member.predictor.checkpoint.recipe for member in members}
        firsts: dict[str, Description | SoundDescription] = {}
        for member in members:
            firsts.setdefault(member.description.takes, replace(member.description, protocol=protocol))
        text = card.of_ensemble(told, list(firsts.values()), recipes, figures, differences)
        files.write_text(folder / CARD, text)


@contextmanager
def _new_folder(out: Path) -> Iterator[Path]:
    if out.exists():
        raise UserError(f"{out} is there already. Delete it, or name another folder with --out.")
    with files.aside(out) as folder:
        folder.mkdir()
        yield folder
        checksums.seal(folder)


def _write(model: Exported, folder: Path, suffix: str, threads: int) -> float:
    """Write one file of a model; the largest difference from the network."""
    told, network = model.description, model.predictor.network
    path, metadata = folder / f"{told.model}{suffix}", description.entries(told)
    axes = {0: "clips"}
    if isinstance(told, SoundDescription):
        graph: nn.Module = SoundGraph(network, told.input, told.samples).eval()
        name, network = _SOUNDS, HeardNetwork(network, told.input)
        example, tried = _sounds(told, _EXAMPLE), [_sounds(told, batch) for batch in BATCHES]
    else:
        graph, name = network, _INPUT
        axes |= {} if len(told.crops) == 1 else {3: "height", 4: "width"}
        example = _clips(told, _EXAMPLE, told.crops[-1])
        tried = [_clips(told, batch, crop) for crop in told.crops for batch in BATCHES]
    if suffix == ONNX:
        graphs.write_onnx(graph, (example,), [name], _OUTPUT, [axes], metadata, path)
        answer = graphs.answers_of_onnx(path, threads)
    else:
        graphs.write_program(graph, example, axes, metadata, path)
        answer = graphs.answers_of_program(path)
    return graphs.compare(answer, network, [(each,) for each in tried], f"The {suffix} file of {told.model}")


def _sounds(told: SoundDescription, batch: int) -> Tensor:
    """Windows of noise, each softer than the one before; the last is silent where there are several."""
    noise = torch.randint(-(2**15), 2**15, (batch, told.samples), generator=torch.Generator().manual_seed(batch))
    loudness = 10 ** -torch.arange(float(batch))[:, None]
    loudness[1:][-1:] = 0
    return (noise * loudness).to(torch.int16)


def _clips(told: Description, batch: int, crop: int) -> Tensor:
    """Clips of noise, as the network takes them."""
    noise = torch.Generator().manual_seed(crop)
    shape = (batch, len(told.input.mean), told.sampler.length, crop, crop)
    return normalize(torch.randint(0, 256, shape, dtype=torch.uint8, generator=noise), told.input)


def _describe(
    members: Sequence[Description | SoundDescription], weights: np.ndarray, mean: str, protocol: str
) -> FusionDescription:
    named = tuple(MemberFile(told.model, f"{told.model}{ONNX}", told.weights_sha256, told.takes) for told in members)
    rows = tuple(tuple(map(float, row)) for row in weights)
    return FusionDescription(named, rows, mean, protocol, members[0].task, members[0].classes)


def _write_fusion(network: Fusion, told: FusionDescription, path: Path, threads: int) -> float:
    """Write the graph that fuses; the largest difference from the network."""
    names = [member.model for member in told.members]
    shapes: list[graphs.Axes] = [{0: "videos", 1: f"views_{number}"} for number in range(len(names))]
    if network.partial:
        names, shapes = [SEES, *names], [{0: "videos"}, *shapes]
    inputs = [_fusion_inputs(told, network, *size) for size in ((_EXAMPLE, _EXAMPLE), *product(BATCHES, (1, 6)))]
    graphs.write_onnx(network, inputs[0], names, _ANSWER, [tuple(shapes)], description.entries(told), path)
    return graphs.compare(graphs.answers_of_onnx(path, threads), network, inputs[1:], "The fusion graph")


def _fusion_inputs(told: FusionDescription, network: Fusion, videos: int, views: int) -> tuple[Tensor, ...]:
    """Logits of members, of which each has more views than the one before; and who sees what, where that differs."""
    noise = torch.Generator().manual_seed(views)
    shapes = [(videos, views + number, len(told.classes)) for number in range(len(told.members))]
    logits = tuple(4 * torch.randn(shape, generator=noise) for shape in shapes)
    sees = torch.rand((videos, len(shapes)), generator=noise) < 0.5
    return (sees, *logits) if network.partial else logits
