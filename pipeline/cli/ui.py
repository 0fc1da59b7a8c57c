"""Look at a run in a browser: videos, answers, wrong labels.

    pipeline ui                             http://127.0.0.1:8000, for this machine alone
    pipeline ui --port 8080 --data other/data
    pipeline ui --host 0.0.0.0              for whoever reaches this machine: there is no password

The marks lie in marks.csv, in the project's root. The first start reads every prediction file and takes a copy into the
scratch folder, by which later starts are quicker. docs/ui.md says more.
"""

import argparse
import ipaddress
import socket
from pathlib import Path
from typing import Any

from pipeline.cli.arguments import DATA
from pipeline.core import params
from pipeline.core.errors import UserError

LOOPBACK = "127.0.0.1"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("--data", type=Path, default=DATA, help="folder of a run's outs (default: %(default)s)")
    parser.add_argument("--marks", type=Path, default=Path("marks.csv"), help="file of marks (default: %(default)s)")
    parser.add_argument("--host", default=LOOPBACK, help="name or address to listen at (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8000, help="port to listen at (default: %(default)s)")


def run(args: argparse.Namespace) -> None:
    """Serve the pages until Ctrl-C."""
    uvicorn = library()
    from pipeline.core.remote_folder import corpus_root
    from pipeline.ui.app import App, application
    from pipeline.ui.catalogue import Catalogue
    from pipeline.ui.marks import Marks
    from pipeline.ui.media import Media

    root, scratch = params.text("dataset.root"), Path(params.text("machine.scratch"))
    with _listening(args.host, args.port) as opened:
        print("Reading the run ...", flush=True)
        catalogue = Catalogue.read(args.data, scratch / "ui")
        media = Media(catalogue, corpus_root(root), args.data / "lmdb")
        app = application(App(catalogue, media, Marks(args.marks), root), names(args.host))
        lines = [f"{len(catalogue):,} videos at http://{_shown(args.host)}:{opened.getsockname()[1]}; Ctrl-C ends it."]
        if names(args.host):
            lines.append("Whoever reaches this machine can see the videos and set marks: there is no password.")
        print("\n".join(lines), flush=True)
        uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False)).run(sockets=[opened])


def library() -> Any:
    """The package `uvicorn`.

    Raises:
        UserError: the extra `ui` is not installed.
    """
    try:
        import starlette  # noqa: F401 - the other package of the extra
        import uvicorn
    except ModuleNotFoundError as error:
        raise UserError(
            f"`pipeline ui` needs a package ({error}). "
            "Install it: `python -m pip install --constraint constraints.txt --editable '.[ui]'`."
        ) from error
    return uvicorn


def names(host: str) -> tuple[str, ...]:
    """The names under which others may ask, besides addresses: none where only this machine can."""
    try:
        if host == "localhost" or ipaddress.ip_address(host).is_loopback:
            return ()
    except ValueError:
        return host, socket.gethostname()
    return (socket.gethostname(),)


def _shown(host: str) -> str:
    """A host as it stands in an address."""
    return f"[{host}]" if ":" in host else host


def _listening(host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family)
    except (OSError, OverflowError) as error:
        raise UserError(
            f"Port {port} of {host} cannot be listened at ({error}). Choose another: `pipeline ui --port {port + 1}`."
        ) from error
