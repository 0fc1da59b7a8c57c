"""Say what is in new videos, by a trained model or the ensemble.

    pipeline predict VIDEO ... --model tsm_r50
    pipeline predict clips/ 'more/**/*.webm' --model ensemble --top 3 --json

VIDEO is a file, a folder (the videos anywhere in it) or a pattern. The frames are extracted as section `extract` of
params.yaml says, and the views are those of `models.<name>.test`, so that a video of the corpus gets the scores of the
prediction files. With `test.crops: random` it gets similar ones: the draw depends on the id of the video, which here is
its path as it was given. A file that gives no frame is reported on stderr, with the reason that data/broken.tsv would
have, and so is one whose name is no UTF-8 (`name`). Where the model was trained on videos of
one label each, its scores sum to 1 (softmax), and --json names the task.

Exit status 3: some files were broken, and the others were answered.
"""

import argparse
import sys
from pathlib import Path

from pipeline.cli.arguments import DATA, at_least_one

SOME_BROKEN = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("videos", nargs="+", metavar="VIDEO", help="a file, a folder or a pattern")
    parser.add_argument("--model", required=True, metavar="NAME", help="a folder of data/models, or ensemble")
    parser.add_argument(
        "--top", type=at_least_one, default=5, metavar="N", help="classes a video (default: %(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="one line of JSON a video, with the scores of all classes")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the results (default: %(default)s)")


def run(args: argparse.Namespace) -> int:
    """Answer each video as soon as its scores are known; the exit status."""
    from pipeline.cli import new_videos
    from pipeline.clips.short_sides import PackConfig
    from pipeline.core import params
    from pipeline.core.broken_videos import BrokenVideo
    from pipeline.core.machine import load_machine
    from pipeline.extraction.config import ExtractConfig

    files = new_videos.found(args.videos)
    machine, config = load_machine(), params.load("extract", ExtractConfig)
    smaller = params.load("pack", PackConfig).smaller
    scorer = new_videos.Scorer(args.model, args.data, machine)
    status = 0
    for file, answer in new_videos.answers(files, scorer, config, machine, smaller):
        if isinstance(answer, BrokenVideo):
            status = SOME_BROKEN
            print(f"broken: {answer.path}: {answer.reason}: {answer.words}", file=sys.stderr)
        elif args.json:
            print(new_videos.as_json(file, answer, scorer), flush=True)
        else:
            print(new_videos.as_table(file, answer, scorer, args.top), flush=True)
    return status
