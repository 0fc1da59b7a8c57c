"""Look at a run in a browser: videos, answers, wrong labels.

    pipeline ui                             http://127.0.0.1:8000, for this machine alone
    pipeline ui --port 8080 --data other/data
    pipeline ui --host 0.0.0.0              for whoever reaches this machine: there is no password

The marks lie in marks.csv, in the project's root. The first start reads every prediction file and takes a copy into the
scratch folder, by which later starts are quicker. docs/ui.md says more.
"""

import argparse
from pathlib import Path

from pipeline.cli.arguments import DATA
from pipeline.cli.listening import LOOPBACK, address, library, listening, names
from pipeline.core import params


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("--data", type=Path, default=DATA, help="folder of a run's outs (default: %(default)s)")
    parser.add_argument("--marks", type=Path, default=Path("marks.csv"), help="file of marks (default: %(default)s)")
    parser.add_argument("--host", default=LOOPBACK, help="name or address to listen at (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8000, help="port to listen at (default: %(default)s)")


def run(args: argparse.Namespace) -> None:
    """Serve the pages until Ctrl-C."""
    uvicorn = library("ui")
    from pipeline.core.remote_folder import corpus_root
    from pipeline.ui.app import App, application
    from pipeline.ui.catalogue import Catalogue
    from pipeline.ui.marks import Marks
    from pipeline.ui.media import Media

    root, scratch = params.text("dataset.root"), Path(params.text("machine.scratch"))
    with listening(args.host, args.port, "ui") as opened:
        print("Reading the run ...", flush=True)
        catalogue = Catalogue.read(args.data, scratch / "ui")
        media = Media(catalogue, corpus_root(root), args.data / "lmdb")
        app = application(App(catalogue, media, Marks(args.marks), root), names(args.host))
        lines = [f"{len(catalogue):,} videos at {address(args.host, opened)}; Ctrl-C ends it."]
        if names(args.host):
            lines.append("Whoever reaches this machine can see the videos and set marks: there is no password.")
        print("\n".join(lines), flush=True)
        uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False)).run(sockets=[opened])
