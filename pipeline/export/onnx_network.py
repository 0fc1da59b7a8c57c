"""An exported file in place of a model's folder: onnxruntime computes the logits, all else is as ever."""

from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from pipeline.clips.dataset import ClipConfig
from pipeline.clips.sound_dataset import SoundClipConfig
from pipeline.core.machine import Machine
from pipeline.export import description, graphs
from pipeline.export.description import Description, FlowDescription, SoundDescription
from pipeline.inference.predictor import Predictor
from pipeline.layers.frame_input import Takes
from pipeline.runtime.checkpoint import Checkpoint


class OnnxNetwork(nn.Module):
    """The network of an ONNX file. Shape: (N, P, T, H, W), or sounds int16 (N, S), -> (N, C), on the CPU."""

    def __init__(self, session: Any) -> None:
        super().__init__()
        self.session = session

    def forward(self, clips: Tensor) -> Tensor:
        """Clips -> logits."""
        (logits,) = self.session.run(None, {self.session.get_inputs()[0].name: clips.numpy()})
        return torch.from_numpy(logits)


class OnnxPredictor(Predictor):
    """A model of `pipeline export`, ready to score the views of videos.

    Args:
        fabric: one of the CPU.
        session: that of the file, where it is open already.

    Raises:
        UserError: the extra is not installed, or the file is none of that command.
    """

    def __init__(self, file: Path, fabric: Fabric, machine: Machine, session: Any = None) -> None:
        session = session or graphs.session(file, machine.threads)
        told = description.read_model(session.get_modelmeta().custom_metadata_map, str(file))
        self.name, self.fabric, self.machine, self.description = told.model, fabric, machine, told
        self.checkpoint = Checkpoint({}, {"arch": told.arch}, told.classes, told.input)
        self.clip = _clip(told)
        self.task, self.grid = told.task, told.grid
        self.network = OnnxNetwork(session)
        self.meta = {"model": self.name, "arch": told.arch, "checkpoint": told.weights_sha256, "machine": {}}

    def answer(self, clips: Tensor) -> Tensor:
        """As a Predictor; of sound, the graph makes the image."""
        return self.network(clips) if self.clip.hears else super().answer(clips)


def _clip(told: Description | SoundDescription) -> ClipConfig | SoundClipConfig:
    if isinstance(told, SoundDescription):
        return SoundClipConfig("sound", told.samples / told.input.rate)
    centre = told.grid.seen[told.grid.protocols["clip"][0]].scale
    takes: Takes = "flow" if isinstance(told, FlowDescription) else "frames"
    return ClipConfig(told.sampler, centre.side, centre.crop, takes)
