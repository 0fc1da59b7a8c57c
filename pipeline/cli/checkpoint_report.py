"""What a checkpoint is, which models it fits, and what loading it into one would do."""

from collections.abc import Mapping
from fnmatch import fnmatchcase

import timm
import torch

from pipeline.cli.arguments import CLASSES
from pipeline.core import registry
from pipeline.core.errors import UserError
from pipeline.layers import hugging_face
from pipeline.layers.backbone import build_backbone
from pipeline.pretrained import infer_config
from pipeline.pretrained.load import Candidate, plan
from pipeline.pretrained.report import Report, in_words
from pipeline.training.config import ModelConfig
from pipeline.training.frozen_config import ProbeConfig


def summary(candidate: Candidate) -> str:
    """What the file is, in a few lines."""
    held, spec = candidate.weights, candidate.translation.input
    doc = registry.find("pretrained/importers", candidate.source).__doc__ or ""
    lines = [
        f"{candidate.where}: {candidate.source}",
        f"  from        {doc.partition(chr(10))[0]}",
        f"  container   {held.origin}",
        f"  entries     {len(held.tensors)}, of {sum(tensor.numel() for tensor in held.tensors.values()):,} values",
        f"  classes     {infer_config.classes(candidate.translation.tensors) or 'no classifier'}",
        f"  seems       {candidate.describe()}",
        *([f"  licence     {licence}"] if (licence := in_words(candidate.translation.licence)) else []),
        f"  input       {f'mean {spec.mean}, std {spec.std}' if spec else 'as timm says of the backbone'}",
        f"  sha256      {held.sha256}",
    ]
    return "\n".join(lines)


LIGHT = (
    *("mobilenetv2_*", "mobilenetv3_*", "tf_mobilenetv3_*", "tf_efficientnet_lite*", "efficientnet_lite*"),
    *("efficientnet_b[0-4]", "tf_efficientnet_b[0-4]", "efficientnet_e[sml]", "mnasnet_*", "fbnetc_100"),
    *("resnet10t", "resnet14t", "resnet18", "resnet26", "resnet34", "resnet50", "resnet101", "resnext50_32x4d"),
)
"""Networks of timm that a file is compared with where no config takes it: those that are quick, and often used."""


def remedy(candidate: Candidate) -> str:
    """What would take a network that fits no config, to be put behind a sentence: a backbone, or a missing extra."""
    tensors = candidate.translation.tensors
    if candidate.source == "transformers":
        try:
            hugging_face.library()
        except UserError as error:
            return f"; it seems to be {candidate.describe()}.\n              {error}"
    if not candidate.translation.image:
        return f"; it seems to be {candidate.describe()}"
    shapes = {name.removeprefix("backbone."): x.shape for name, x in tensors.items() if name.startswith("backbone.")}
    padded = "tf_*" if candidate.source == "efficientnet_lite" else "*"
    found = [name for name in timm.list_models(list(LIGHT)) if fnmatchcase(name, padded) and _shapes(name) == shapes]
    if not found:
        return ", and is none of the light networks of timm"
    return (
        f"; it would with arch: trn, backbone: {' or '.join(found)}, e.g.\n"
        f"              pipeline params model=trn_r50 models.trn_r50.options.backbone={found[-1]} "
        f"models.trn_r50.train.pretrained={candidate.where}"
    )


def _shapes(name: str) -> dict[str, torch.Size]:
    with torch.device("meta"):
        return {name: tensor.shape for name, tensor in build_backbone(name).state_dict().items()}


def fits(configs: Mapping[str, ModelConfig | ProbeConfig], candidate: Candidate) -> list[str]:
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


def report(config: ModelConfig | ProbeConfig, classes: int, candidate: Candidate) -> Report:
    """What loading into the model would report, without doing it: the model has names and shapes, but no values."""
    with torch.device("meta"):
        model, _ = config.build(classes)
    return plan(model, candidate)[1]
