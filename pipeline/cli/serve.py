"""Answer uploaded videos over HTTP: send a clip, get its classes.

    pipeline serve --model tsm_r50                           http://127.0.0.1:8000, for this machine alone
    pipeline serve --model ensemble --most-seconds 20
    pipeline serve --onnx export/tsm_r50/tsm_r50.onnx --host 0.0.0.0
    curl --data-binary @clip.mp4 'http://127.0.0.1:8000/predict?name=clip.mp4'

Answers are those of `pipeline predict --json` for the same file. What is larger than the limits is refused before it is
decoded (413), and so is what is no video (415); a damaged one has no answer (422). The page tries it in a browser. No
upload is kept. It needs the extra `serve`, and --onnx the extra `onnx`. docs/serve.md says more.
"""

import argparse
import signal
import socket
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.cli.arguments import DATA, at_least_one, positive
from pipeline.cli.listening import LOOPBACK, address, library, listening, names

if TYPE_CHECKING:
    from pipeline.core.machine import Machine
    from pipeline.serve.answering import Model


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--model", metavar="NAME", help="a folder of data/models, or ensemble")
    which.add_argument("--onnx", type=Path, metavar="FILE", help="a file of `pipeline export`")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the results (default: %(default)s)")
    parser.add_argument("--host", default=LOOPBACK, help="name or address to listen at (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8000, help="port to listen at (default: %(default)s)")
    parser.add_argument(
        "--name", action="append", default=[], help="a name under which a proxy is asked for it; may be given again"
    )
    limits = parser.add_argument_group("the largest upload that is answered")
    limits.add_argument("--most-megabytes", type=positive, default=100, metavar="N", help="(default: %(default)s)")
    limits.add_argument("--most-seconds", type=positive, default=60, metavar="N", help="(default: %(default)s)")
    limits.add_argument("--most-frames", type=at_least_one, default=7200, metavar="N", help="(default: %(default)s)")
    limits.add_argument(
        "--most-pixels", type=at_least_one, default=9_000_000, metavar="N", help="of a picture (default: %(default)s)"
    )


def run(args: argparse.Namespace) -> None:
    """Serve until Ctrl-C.

    Raises:
        UserError: the model cannot answer, the port is taken, or the extra is not installed.
    """
    uvicorn = library("serve")
    from pipeline.core import files
    from pipeline.core.machine import load_machine, scratch_folder
    from pipeline.serve.answering import Answering
    from pipeline.serve.app import App, application
    from pipeline.serve.limits import Limits

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # which uvicorn hands on once it has ended
    machine = load_machine()
    limits = Limits(args.most_megabytes, args.most_seconds, args.most_frames, args.most_pixels)
    with listening(args.host, args.port, "serve") as opened:
        place = f"{socket.gethostname()}-{args.host}-{opened.getsockname()[1]}"
        scratch = scratch_folder(machine, "serve") / place  # this process's alone, as the port is
        files.remove(scratch)  # what a killed one left
        machine = replace(machine, scratch=str(scratch))
        try:
            uploads = scratch_folder(machine, "uploads")
            answering = Answering(_model(args, machine), limits, machine.ffmpeg_path())
            app = application(App(answering, uploads, machine.processes), (*names(args.host), *args.name))
            lines = [f"{answering.model.name} answers at {address(args.host, opened)}; Ctrl-C ends it."]
            if names(args.host):
                lines.append("Whoever reaches this machine can ask: there is no password.")
            print("\n".join(lines), flush=True)
            uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=5)).run(
                sockets=[opened]
            )
        finally:
            files.remove(scratch)


def _model(args: argparse.Namespace, machine: "Machine") -> "Model":
    """Who answers, from checkpoints or an exported file."""
    import numpy as np

    from pipeline.cli import new_videos, predict
    from pipeline.core.broken_videos import BrokenVideo
    from pipeline.extraction.config import ExtractConfig
    from pipeline.serve.answering import Model

    scorer, extract = predict.chosen(args, machine)
    alone = replace(machine, workers=1)

    def score(file: Path, video: str, config: ExtractConfig) -> np.ndarray | BrokenVideo:
        ((_, found),) = new_videos.answers([file], scorer, config, alone, lambda _: video)
        return found

    def told(video: str, probabilities: np.ndarray) -> str:
        return new_videos.as_json(video, probabilities, scorer)

    name = args.model or args.onnx.stem
    return Model(name, scorer.task, scorer.classes, scorer.senses(hear=False), score, told, extract)
