"""Networks of the library transformers, saved as it publishes them, against which adapters to them are held.

No test of these asks a network for anything; `cut_off` sees to it.
"""

import json
import socket
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from torch import nn

from pipeline.pretrained.load import load_pretrained
from pipeline.pretrained.report import Report
from tests.support.golden.golden_io import fill, make_input

IMAGENET: dict[str, Any] = {
    "do_rescale": True,
    "rescale_factor": 0.00392156862745098,
    "do_normalize": True,
    "image_mean": [0.485, 0.456, 0.406],
    "image_std": [0.229, 0.224, 0.225],
}

PRISM = {
    "num_frames": 4, "image_size": 36, "hidden_size": 24, "num_spatial_layers": 2, "num_temporal_layers": 1,
    "num_attention_heads": 2, "intermediate_size": 96,
}  # fmt: skip
JEPA = {
    "frames_per_clip": 4, "crop_size": 32, "patch_size": 8, "hidden_size": 24, "num_hidden_layers": 2,
    "num_attention_heads": 2, "num_pooler_layers": 1,
    "pred_hidden_size": 24, "pred_num_attention_heads": 2, "pred_num_hidden_layers": 1,
}  # fmt: skip
RAW: dict[str, Any] = {"do_normalize": False, "image_mean": None, "image_std": None}
"""Preprocessing of a network that takes pixels of 0..1 as they are."""


def cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on every connection fails but those between processes of this machine."""
    connect = socket.socket.connect

    def refuse(own: socket.socket, address: Any, *_: Any) -> None:
        if not (isinstance(own, socket.socket) and own.family == socket.AF_UNIX):
            raise AssertionError(f"a test opened a connection to {address}")
        connect(own, address)

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def published(network: Any, folder: Path, side: int, licence: str = "mit", **preprocessing: Any) -> Path:
    """The folder that the library makes of a network with weights that are not zero, its card, and preprocessing."""
    fill(network).save_pretrained(folder)
    crop = {"do_center_crop": True, "crop_size": {"height": side, "width": side}}
    (folder / "preprocessor_config.json").write_text(json.dumps(IMAGENET | crop | preprocessing))
    (folder / "README.md").write_text(f"---\nlicense: {licence}\ntags: [video]\n---\n# A network\n")
    return folder


def names_in(folder: Path) -> list[str]:
    """Names of the tensors in the folder's file."""
    with safe_open(folder / "model.safetensors", "pt") as file:
        return list(file.keys())


def assert_same_logits(peer: Any, ours: nn.Module, folder: Path, frames: int, side: int, argument: str) -> Report:
    """The folder of `peer`, loaded as `train.pretrained` is, makes ours answer what the library's class answers.

    The library reads the folder, too: what is compared is what a user of it would see.
    """
    report = load_pretrained(ours.eval(), folder, classes=tuple(peer.config.id2label.values()))
    again = type(peer).from_pretrained(folder, local_files_only=True).eval()
    clips = make_input((2, 3, frames, side, side))
    with torch.inference_mode():
        expected = again(**{argument: clips.transpose(1, 2)}).logits
        found = ours(clips)
    assert found.shape == (len(clips), len(peer.config.id2label))
    assert expected.std() > 0
    torch.testing.assert_close(found, expected.reshape(found.shape), rtol=0, atol=0)
    return report


def prism(encoder_alone: bool = False, **config: Any) -> Any:
    """A small VideoPrism of the library, with its head or as an encoder alone."""
    import transformers  # an extra

    made = transformers.VideoPrismVisionConfig(**PRISM, **config)
    network = transformers.VideoPrismVisionModel if encoder_alone else transformers.VideoPrismForVideoClassification
    return network(made)


def jepa(encoder_alone: bool = False, **config: Any) -> Any:
    """The same of V-JEPA 2."""
    import transformers  # an extra

    made = transformers.VJEPA2Config(**JEPA, **config)
    return (transformers.VJEPA2Model if encoder_alone else transformers.VJEPA2ForVideoClassification)(made)
