"""Foretell the disk and hours that a corpus and its models take.

    pipeline plan                                             the corpus and models of params.yaml
    pipeline plan --videos 1025862 --seconds 3 --height 340   another corpus, before there is any of it
    pipeline plan model=report --cores 96 --gpus 8 --tflops 60

Settings are overrides as of `pipeline params`; without any, those of params.yaml. How fast this machine extracts,
packs, loads and computes is measured on a few clips (of the corpus, or made for it), in a minute or two, and kept.
"""

import argparse

from pipeline.cli.arguments import CLASSES, DATA, at_least_one, positive


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `pipeline plan`."""
    parser.add_argument("overrides", nargs="*", metavar="NAME=VALUE", help="settings, e.g. model=report")
    corpus = parser.add_argument_group("a corpus that is not there yet")
    corpus.add_argument("--videos", type=at_least_one, help="its number; without, the corpus is data/manifest.tsv")
    corpus.add_argument("--seconds", type=positive, default=3.0, help="mean length of a video (default: 3)")
    corpus.add_argument("--width", type=at_least_one, default=256, help="of the videos, in pixels (default: 256)")
    corpus.add_argument("--height", type=at_least_one, default=340, help="of the videos, in pixels (default: 340)")
    corpus.add_argument("--classes", type=at_least_one, default=CLASSES, help=f"their number (default: {CLASSES})")
    corpus.add_argument("--held-out", type=at_least_one, help="val and test videos (default: by the shares of dataset)")
    machine = parser.add_argument_group("a machine that is not this one")
    machine.add_argument("--cores", type=at_least_one, help="CPU cores (default: those of machine.workers)")
    machine.add_argument("--gpus", type=at_least_one, help="GPUs; needs --tflops (default: the device of this machine)")
    machine.add_argument("--tflops", type=positive, help="TFLOP/s that a device sustains in training, not its peak")
    machine.add_argument(
        "--frame-kb", type=positive, help="mean size of a stored frame in kB, in place of the measured"
    )
    parser.add_argument("--again", action="store_true", help="measure this machine anew")


def run(args: argparse.Namespace) -> None:
    """Measure, compute, print.

    Raises:
        UserError: there is no corpus, a setting is wrong, or a number of GPUs is without their speed.
    """
    from pipeline.cli import planner, rates
    from pipeline.core.errors import UserError

    if args.gpus and not args.tflops:
        raise UserError("--gpus needs --tflops: what one of them sustains. `python benchmarks/gpu.py` measures it.")
    settings = rates.settings(args.overrides)
    corpus = planner.described(args, settings) if args.videos else planner.of_manifest(DATA, settings)
    measured = rates.measured(settings, corpus, again=args.again, compute=not args.tflops)
    print("\n".join(planner.lines(settings, corpus, measured, planner.Hardware.of(args, settings))))
