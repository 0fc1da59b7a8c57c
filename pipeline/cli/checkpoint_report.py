"""What a checkpoint is, which models it fits, and what loading it into one would do."""

from collections.abc import Mapping

import torch

from pipeline.cli.arguments import CLASSES
from pipeline.core import registry
from pipeline.core.errors import UserError
from pipeline.pretrained import infer_config
from pipeline.pretrained.load import Candidate, Report, plan
from pipeline.training.config import ModelConfig


def summary(candidate: Candidate) -> str:
    """What the file is, in a few lines."""
    held, spec = candidate.weights, candidate.translation.input
    doc = registry.find("pretrained/importers", candidate.source).__doc__ or ""
    lines = [
        f"{candidate.where}: {candidate.source}",
        f"  from        {doc.partition(chr(10))[0]}",
        f"  container   {held.container}{', every name with module.' if held.parallel else ''}",
        f"  entries     {len(held.tensors)}, of {sum(tensor.numel() for tensor in held.tensors.values()):,} values",
        f"  classes     {infer_config.classes(candidate.translation.tensors) or 'no classifier'}",
        f"  seems       {candidate.describe()}",
        f"  input       {f'mean {spec.mean}, std {spec.std}' if spec else 'as timm says of the backbone'}",
        f"  sha256      {held.sha256}",
    ]
    return "\n".join(lines)


def fits(configs: Mapping[str, ModelConfig], candidate: Candidate) -> list[str]:
    """The names of the models that the file can be loaded into."""
    classes = infer_config.classes(candidate.translation.tensors) or CLASSES
    fitting = []
    for name, config in configs.items():
        try:
            report(config, classes, candidate)
        except UserError:
            continue
        fitting.append(name)
    return fitting


def report(config: ModelConfig, classes: int, candidate: Candidate) -> Report:
    """What loading into the model would report, without doing it: the model has names and shapes, but no values."""
    with torch.device("meta"):
        model, _ = config.build(classes)
    return plan(model, candidate)[1]
