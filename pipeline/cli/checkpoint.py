"""What a checkpoint is, and which models of conf/model it fits.

    python -m pipeline.pretrained FILE                            whose it is, what is in it, what it fits
    python -m pipeline.pretrained FILE --model tsm_r50            what `pretrained: FILE` would load into that model
    python -m pipeline.pretrained timm:resnet50 --save r50.safetensors
                                                                  fetch once; stages then read the file, offline

FILE may be a checkpoint of this pipeline (model.safetensors), of X-Temporal, TSM, TIN, TRN, PySlowFast (.pyth, .pkl),
pytorchvideo or mmaction2, or an image network of torchvision, timm or Cadene. `timm:NAME` and `torchvision:NAME` are
fetched by these libraries, which need a network the first time. Nothing in a file is run, whatever it holds.
"""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

import torch

from pipeline.cli import zoo
from pipeline.core import registry
from pipeline.core.errors import UserError
from pipeline.pretrained import infer_config
from pipeline.pretrained.load import AUTO, Candidate, Report, plan
from pipeline.training.config import ModelConfig

CONF = Path("conf")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog="python -m pipeline.pretrained", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("file", help="a path, timm:NAME or torchvision:NAME")
    made.add_argument("--source", default=AUTO, help="the importer, where auto cannot tell")
    made.add_argument("--model", metavar="NAME", help="a config of conf/model: show what would be loaded into it")
    made.add_argument("--classes", type=int, default=zoo.CLASSES, help="of that model (default: %(default)s)")
    made.add_argument("--save", metavar="PATH.safetensors", type=Path, help="write the tensors, under their own names")
    return made


def main(arguments: list[str] | None = None) -> None:
    """Run the command."""
    args = parser().parse_args(arguments)
    if args.model and args.model not in zoo.single_models(CONF):
        raise UserError(f"{CONF / 'model'} has no model {args.model!r}. It has: {', '.join(zoo.single_models(CONF))}.")
    candidate = Candidate.read(args.file, args.source)
    if args.model:
        print(report(zoo.configs(CONF, [args.model])[args.model], args.classes, candidate))
    else:
        fitting = fits(zoo.configs(CONF), candidate) if CONF.is_dir() else []
        print(f"{summary(candidate)}\n  fits        {', '.join(fitting) or 'no model of conf/model'}")
    if args.save:
        candidate.weights.write(args.save)
        print(f"wrote {args.save}")


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
    classes = infer_config.classes(candidate.translation.tensors) or zoo.CLASSES
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


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")
