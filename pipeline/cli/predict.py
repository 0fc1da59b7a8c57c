"""Say what is in new videos, by a trained model or the ensemble.

    pipeline predict VIDEO ... --model tsm_r50
    pipeline predict clips/ 'more/**/*.webm' --model ensemble --top 3 --json
    pipeline predict long.mp4 --model ensemble --window 4 --stride 1 --plot long.svg
    pipeline predict VIDEO ... --onnx export/tsm_r50/tsm_r50.onnx

VIDEO is a file, a folder (the videos anywhere in it) or a pattern. The frames are extracted as section `extract` of
params.yaml says, and the views are those of `models.<name>.test`, so that a video of the corpus gets the scores of the
prediction files. With `test.crops: random` it gets similar ones: the draw depends on the id of the video, which here is
its path as it was given. A file that gives no frame is reported on stderr, with the reason that data/broken.tsv would
have, and so is one whose name is no UTF-8 (`name`). Where the model was trained on videos of
one label each, its scores sum to 1 (softmax), and --json names the task.

A member that hears gets the sound of the file, and one of flow the flow of its frames; each is left out where there is
none.

With --onnx, a file of `pipeline export` answers instead, through onnxruntime on the CPU: a model's, or the one that
fuses an ensemble. Frames, flow and views are then those that its metadata name, and of params.yaml section `machine` is
read.

With --window, a long video is answered every --stride seconds for what is in the window there: a timeline, as a table,
JSON (a line a place), CSV, or a picture.

Exit status 3: some files were broken, and the others were answered.
"""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.cli.arguments import DATA, at_least_one, positive

if TYPE_CHECKING:
    from pipeline.cli.new_videos import Scorer
    from pipeline.core.broken_videos import BrokenVideo
    from pipeline.core.machine import Machine
    from pipeline.extraction.config import ExtractConfig

SOME_BROKEN = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("videos", nargs="+", metavar="VIDEO", help="a file, a folder or a pattern")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--model", metavar="NAME", help="a folder of data/models, or ensemble")
    which.add_argument("--onnx", type=Path, metavar="FILE", help="a file of `pipeline export`")
    parser.add_argument(
        "--top", type=at_least_one, default=5, metavar="N", help="classes a video (default: %(default)s)"
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one line of JSON a video, with the scores of all classes")
    form.add_argument(
        "--csv", action="store_true", help="with --window: a line a place, with the scores of all classes"
    )
    parser.add_argument("--window", type=positive, metavar="SECONDS", help="answer parts of this length: a timeline")
    parser.add_argument("--stride", type=positive, metavar="SECONDS", help="from part to part (default: the window)")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="with --window: draw the timeline of one video")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the results (default: %(default)s)")


def run(args: argparse.Namespace) -> int:
    """Answer each video as soon as its scores are known; the exit status.

    Raises:
        UserError: a name is of nothing, the model cannot answer, or an argument is for timelines alone.
    """
    from pipeline.cli import new_videos
    from pipeline.core.errors import UserError
    from pipeline.core.machine import load_machine

    files = new_videos.found(args.videos)
    if args.window is None and (args.stride or args.csv or args.plot):
        raise UserError("--stride, --csv and --plot are for timelines. Give --window SECONDS as well.")
    if args.plot and len(files) > 1:
        raise UserError(f"--plot draws one video, and there are {len(files)}. Call it for each.")
    machine = load_machine()
    scorer, config = chosen(args, machine)
    return (_whole if args.window is None else _timelines)(args, files, scorer, config, machine)


def chosen(args: argparse.Namespace, machine: "Machine") -> "tuple[Scorer, ExtractConfig]":
    """Who answers, and how it wants the frames.

    Raises:
        UserError: the model cannot answer, or takes flow and OpenCV is missing.
    """
    from pipeline.cli import new_flows
    from pipeline.cli.new_videos import Scorer
    from pipeline.clips.short_sides import PackConfig
    from pipeline.core import params
    from pipeline.extraction.config import ExtractConfig

    if args.onnx:
        from pipeline.cli.onnx_scorer import OnnxScorer

        scorer: Scorer = (exported := OnnxScorer(args.onnx, machine))
        config = exported.extract
    else:
        config = params.load("extract", ExtractConfig)
        scorer = Scorer(args.model, args.data, machine, params.load("pack", PackConfig).smaller)
    if scorer.flow:
        new_flows.check(scorer.flow)
    return scorer, config


def _whole(
    args: argparse.Namespace, files: "list[Path]", scorer: "Scorer", config: "ExtractConfig", machine: "Machine"
) -> int:
    from pipeline.cli import new_videos
    from pipeline.core.broken_videos import BrokenVideo

    status = 0
    for file, answer in new_videos.answers(files, scorer, config, machine):
        if isinstance(answer, BrokenVideo):
            status = _tell(answer)
        elif args.json:
            print(new_videos.as_json(file, answer, scorer), flush=True)
        else:
            print(new_videos.as_table(file, answer, scorer, args.top), flush=True)
    return status


def _timelines(
    args: argparse.Namespace, files: "list[Path]", scorer: "Scorer", config: "ExtractConfig", machine: "Machine"
) -> int:
    from pipeline.cli import timeline
    from pipeline.core.broken_videos import BrokenVideo
    from pipeline.core.files import write_text

    status = 0
    if args.csv:
        print(timeline.csv_head(scorer.classes))
    for file, answer in timeline.answers(files, scorer, config, machine, args.window, args.stride or args.window):
        if isinstance(answer, BrokenVideo):
            status = _tell(answer)
            continue
        places = []
        for place in answer:
            places.append(place)
            if args.json:
                print(timeline.as_json(file, place, scorer), flush=True)
            elif args.csv:
                print(timeline.csv_line(file, place), flush=True)
        if not (args.json or args.csv):
            print(timeline.as_table(file, places, scorer.classes, args.top), flush=True)
        if args.plot:
            write_text(args.plot, timeline.as_svg(file, places, scorer.classes))
    return status


def _tell(broken: "BrokenVideo") -> int:
    """Say why a video has no answer; the exit status."""
    print(f"broken: {broken.path}: {broken.reason}: {broken.words}", file=sys.stderr)
    return SOME_BROKEN
