"""torchvision's own video networks, against which adapters to them are held."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from pipeline import cost
from pipeline.pretrained.importers import torchvision
from pipeline.pretrained.load import load_pretrained
from pipeline.pretrained.weight_file import Weights
from tests.support.golden.golden_io import make_input


def assert_same_logits(
    theirs: Callable[[], nn.Module],
    build: Callable[..., nn.Module],
    shape: tuple[int, ...],
    folder: Path,
    exactly: bool = False,
) -> None:
    """A file of their state dict, loaded as `train.pretrained` is, makes ours answer what theirs answers."""
    torch.manual_seed(0)
    peer, clips = theirs().eval(), make_input(shape)
    torch.save(peer.state_dict(), folder / "peer.pth")
    ours = build(400).eval()
    report = load_pretrained(ours, folder / "peer.pth", classes=torchvision.CLASSES)
    assert (report.source, dict(report.kept), report.named) == ("torchvision", {}, "")
    with torch.inference_mode():
        expected, found = peer(clips), ours(clips)
    assert expected.std() > 0
    torch.testing.assert_close(found, expected, **({"rtol": 0, "atol": 0} if exactly else {}))


def assert_names_and_shapes(theirs: Callable[[], nn.Module], build: Callable[..., nn.Module], parameters: int) -> None:
    """Behind the importer, their state dict has the names and shapes of ours; with 400 classes, so many parameters."""
    with torch.device("meta"):
        peer, ours = theirs(), build(400)
    translated = torchvision.translate(Weights(peer.state_dict(), "no container", (), "")).tensors
    shapes = ({name: tuple(tensor.shape) for name, tensor in some.items()} for some in (translated, ours.state_dict()))
    assert next(shapes) == next(shapes)
    assert cost.parameters(peer) == cost.parameters(ours) == parameters
