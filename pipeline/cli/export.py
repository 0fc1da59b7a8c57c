"""Write a trained model as an ONNX file or a PyTorch program.

    pipeline export tsm_r50 --onnx              export/tsm_r50/: tsm_r50.onnx and a model card, README.md
    pipeline export tsm_r50 --onnx --torch      a torch.export program, tsm_r50.pt2, as well
    pipeline export ensemble --onnx             a graph a member, and one that fuses their logits
    pipeline predict VIDEO --onnx export/tsm_r50/tsm_r50.onnx

Such files run without this pipeline. They take any number of clips. Their metadata say how a video, its flow or its
sound becomes clips. Nothing is published before its answers were compared with the network's. ONNX files need the
extra `onnx`.
"""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.cli.arguments import DATA

if TYPE_CHECKING:
    from pipeline.cli.new_videos import Scorer
    from pipeline.export.folder import Exported


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("model", metavar="MODEL", help="a folder of data/models, or ensemble")
    parser.add_argument("--onnx", action="store_true", help="an ONNX file")
    parser.add_argument("--torch", action="store_true", help="a program of torch.export (.pt2)")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="a new folder (default: export/MODEL)")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the results (default: %(default)s)")


def run(args: argparse.Namespace) -> None:
    """Write the folder.

    Raises:
        UserError: no format is asked for, or one that the ensemble has not; or a file does not answer as the network.
    """
    from pipeline.cli.new_videos import ENSEMBLE, Scorer
    from pipeline.clips.short_sides import PackConfig
    from pipeline.core import params
    from pipeline.core.errors import UserError
    from pipeline.core.machine import load_machine
    from pipeline.export import extra, figures, folder, fusion

    suffixes = [suffix for suffix, asked in ((folder.ONNX, args.onnx), (folder.PROGRAM, args.torch)) if asked]
    if not suffixes:
        raise UserError("What is written? Give --onnx or --torch, or both.")
    if args.model == ENSEMBLE and args.torch:
        raise UserError("The ensemble is written as ONNX alone: leave --torch out, or export the members one by one.")
    if args.onnx:
        extra.check_writers()
        extra.runtime()
    machine = replace(load_machine(), accelerator="cpu", precision="32")
    scorer = Scorer(args.model, args.data, machine, params.load("pack", PackConfig).smaller)
    if args.model == ENSEMBLE:
        fusion.check(scorer.fusion.mean)
    out = args.out or Path("export") / args.model
    members = _members(scorer)
    print(
        f"Exporting {', '.join(member.description.model for member in members)}: minutes, for a large one ...",
        flush=True,
    )
    if args.model == ENSEMBLE:
        _ensemble(scorer, members, args.data, out, machine.threads)
    else:
        told = members[0].description
        measured = figures.of_model(args.data, told.model, told.task, told.weights_sha256, _clip(members[0]))
        folder.write_model(members[0], measured, suffixes, out, machine.threads)
    print(f"wrote {out}: {', '.join(sorted(file.name for file in out.iterdir()))}")


def _members(scorer: "Scorer") -> "list[Exported]":
    from pipeline.clips.short_sides import PackConfig
    from pipeline.core import params
    from pipeline.export import description
    from pipeline.export.folder import Exported
    from pipeline.extraction.config import ExtractConfig

    extract, pack = params.load("extract", ExtractConfig), params.load("pack", PackConfig)
    predictors = [member.predictor for member in (*scorer.members, *scorer.idle)]
    return [Exported(predictor, description.of(predictor, extract, pack, scorer.flow)) for predictor in predictors]


def _clip(member: "Exported") -> Any:
    """What the recipe of a model says of its clips."""
    return member.predictor.checkpoint.recipe["clip"]


def _ensemble(scorer: "Scorer", members: "list[Exported]", data: Path, out: Path, threads: int) -> None:
    import numpy as np

    from pipeline.export import figures, folder

    every = (*scorer.members, *scorer.idle)
    weights = np.array([np.broadcast_to(member.weight, len(scorer.classes)) for member in every])
    hashes = {member.description.model: member.description.weights_sha256 for member in members}
    measured = figures.of_ensemble(data, scorer.task, hashes, map(_clip, members))
    folder.write_ensemble(members, weights, scorer.fusion.mean, scorer.fusion.protocol, measured, out, threads)
