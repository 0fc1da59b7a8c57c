"""New videos answered by the files of `pipeline export` instead of data/models."""

import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.cli.fused_members import Fusion
from pipeline.cli.new_videos import Member, Scorer
from pipeline.core.errors import UserError
from pipeline.core.machine import Machine
from pipeline.export import description, graphs
from pipeline.export.description import Description, FlowDescription, FusionDescription
from pipeline.export.folder import SEES
from pipeline.export.onnx_network import OnnxPredictor
from pipeline.extraction.config import ExtractConfig
from pipeline.predictions.table import FINAL
from pipeline.runtime import distributed


class OnnxScorer(Scorer):
    """An exported model, or an exported ensemble: its fusion graph, and the members that lie beside it.

    Args:
        file: an ONNX file of `pipeline export`.

    Attributes:
        extract: how the frames are extracted from a video.

    Raises:
        UserError: the extra is not installed, the file is none of that command, or a member beside it is missing or
            another one than was fused.
    """

    def __init__(self, file: Path, machine: Machine) -> None:
        fabric = distributed.launch(replace(machine, devices=1, accelerator="cpu", precision="32"))
        session = graphs.session(file, machine.threads)
        metadata = session.get_modelmeta().custom_metadata_map
        self.graph: Any = None
        if "members" in metadata:
            self.graph, self.told = session, description.read(FusionDescription, metadata, str(file))
            predictors = [
                OnnxPredictor(file.parent / Path(one.file).name, fabric, machine) for one in self.told.members
            ]
            _check(file, self.told, predictors)
            self.fusion = Fusion({}, self.told.mean, self.told.protocol, {})
        else:
            predictors = [OnnxPredictor(file, fabric, machine, session)]
            self.fusion = Fusion({}, "probability", FINAL, {})
        self.members = [Member(predictor, 1.0) for predictor in predictors]
        self.task, self.device, self.turn = predictors[0].task, fabric.device, threading.Lock()
        self.extract: ExtractConfig = predictors[0].description.extract
        told = [predictor.description for predictor in predictors]
        self.smaller = next((own.pack.smaller for own in told if isinstance(own, Description)), ())
        self.flow = next((own.flow for own in told if isinstance(own, FlowDescription)), None)

    def fuse(self, logits: Sequence[np.ndarray]) -> np.ndarray:
        """By the fusion graph, where there is one."""
        return super().fuse(logits) if self.graph is None else self._run(self.members, logits)

    def _fuse_of(self, members: Sequence[Member], logits: Sequence[np.ndarray]) -> np.ndarray:
        """The same of some members: the graph leaves out those who do not see the video."""
        return self._run(members, logits)

    def _run(self, members: Sequence[Member], logits: Sequence[np.ndarray]) -> np.ndarray:
        """The fusion graph's answer to the logits of `members`."""
        answers = dict(zip((one.predictor.name for one in members), logits, strict=True))
        fed: dict[str, np.ndarray] = {}
        for member in self.members:
            name, grid = member.predictor.name, member.predictor.grid
            views = list(grid.protocols[self.told.protocol])
            blank = np.zeros((1, len(grid), len(self.classes)), np.float32)
            fed[name] = answers.get(name, blank)[:, views].astype(np.float32)
        if any(member.takes != "frames" for member in self.told.members):
            fed[SEES] = np.array([[member.predictor.name in answers for member in self.members]])
        probabilities: np.ndarray = self.graph.run(None, fed)[0][0]
        return probabilities


def _check(file: Path, told: FusionDescription, predictors: Sequence[OnnxPredictor]) -> None:
    """Refuse members that are not those which the fusion graph was made for."""
    for one, predictor in zip(told.members, predictors, strict=True):
        found = predictor.description
        if (found.weights_sha256, found.classes) != (one.weights_sha256, told.classes):
            raise UserError(
                f"{file.parent / Path(one.file).name} is not the member that {file} was made for: its weights are "
                "others. Put the files of one `pipeline export ensemble --onnx` side by side."
            )
