"""An exported file in place of a model's folder: onnxruntime computes the logits, all else is as ever."""

from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from pipeline.clips.dataset import ClipConfig
from pipeline.core.machine import Machine
from pipeline.export import description, graphs
from pipeline.export.description import Description
from pipeline.inference.predictor import Predictor
from pipeline.runtime.checkpoint import Checkpoint


class OnnxNetwork(nn.Module):
    """The network of an ONNX file. Shape: (N, 3, T, H, W) -> (N, C), on the CPU."""

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
        told = description.read(Description, session.get_modelmeta().custom_metadata_map, str(file))
        self.name, self.fabric, self.machine, self.description = told.model, fabric, machine, told
        self.checkpoint = Checkpoint({}, {"arch": told.arch}, told.classes, told.input)
        centre = told.grid.seen[told.grid.protocols["clip"][0]].scale
        self.clip = ClipConfig(told.sampler, centre.side, centre.crop)
        self.task, self.grid = told.task, told.grid
        self.network = OnnxNetwork(session)
        self.meta = {"model": self.name, "arch": told.arch, "checkpoint": told.weights_sha256, "machine": {}}
