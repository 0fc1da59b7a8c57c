"""Say what a checkpoint is, and which models it fits.

    pipeline checkpoint FILE                                      whose it is, what is in it, what it fits
    pipeline checkpoint FILE --model tsm_r50                      what `pretrained: FILE` would load into that model
    pipeline checkpoint timm:resnet50 --save r50.safetensors      fetch once; stages then read the file, offline

FILE may be a checkpoint of this pipeline (model.safetensors), of X-Temporal, TSM, TIN, TRN, PySlowFast (.pyth, .pkl),
pytorchvideo or mmaction2, a video network of torchvision, or an image network of torchvision, timm or Cadene; or the
folder of a network of transformers, as Hugging Face publishes it (config.json, preprocessor_config.json and weights).
`timm:NAME` and `torchvision:NAME` are fetched by these libraries, which need a network the first time. Nothing in a
file is run, whatever it holds.
"""

import argparse
from pathlib import Path

from pipeline.cli.arguments import CLASSES, CONF, DATA, at_least_one
from pipeline.core.errors import UserError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("file", metavar="FILE", help="a path, timm:NAME or torchvision:NAME")
    parser.add_argument("--source", default="auto", help="the importer, where auto cannot tell")
    parser.add_argument("--set", metavar="KEY", help="which weights of a file that holds several (state_dict_ema, ...)")
    parser.add_argument("--model", metavar="NAME", help="a config of conf/model: show what would be loaded into it")
    parser.add_argument(
        "--classes", type=at_least_one, metavar="N", help="of that model (default: those of data/classes.txt, or 313)"
    )
    parser.add_argument(
        "--save", metavar="PATH.safetensors", type=Path, help="write the tensors, under their own names"
    )


def run(args: argparse.Namespace) -> None:
    """Print what the file is; save it where that is asked for."""
    from pipeline.cli import checkpoint_report, model_table
    from pipeline.pretrained.load import Candidate

    known = model_table.single_models(CONF)
    if args.model and args.model not in known:
        raise UserError(f"{CONF / 'model'} has no model {args.model!r}. It has: {', '.join(known)}.")
    candidate = Candidate.read(args.file, args.source, args.set)
    if args.model:
        config = model_table.configs(CONF, [args.model])[args.model]
        print(checkpoint_report.report(config, args.classes or _own_classes(), candidate))
        print("  (at start: learnt from your clips alone, from random or neutral values)")
    else:
        fitting = checkpoint_report.fits(model_table.configs(CONF), candidate) if CONF.is_dir() else []
        fits = ", ".join(fitting) or f"no model of conf/model as it stands{checkpoint_report.remedy(candidate)}"
        print(f"{checkpoint_report.summary(candidate)}\n  fits        {fits}")
    if args.save:
        candidate.weights.write(args.save)
        print(f"wrote {args.save}")


def _own_classes() -> int:
    """The number of classes of the corpus here; that of the report's where none was indexed yet."""
    file = DATA / "classes.txt"
    return len(file.read_text(encoding="utf-8").splitlines()) if file.is_file() else CLASSES
