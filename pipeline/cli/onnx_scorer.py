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
from pipeline.export.description import FusionDescription
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
        self.smaller = predictors[0].description.pack.smaller

    def fuse(self, logits: Sequence[np.ndarray]) -> np.ndarray:
        """By the fusion graph, where there is one."""
        if self.graph is None:
            return super().fuse(logits)
        protocols = [list(member.predictor.grid.protocols[self.told.protocol]) for member in self.members]
        chosen = [own[:, views].astype(np.float32) for own, views in zip(logits, protocols, strict=True)]
        names = [member.model for member in self.told.members]
        probabilities: np.ndarray = self.graph.run(None, dict(zip(names, chosen, strict=True)))[0][0]
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
