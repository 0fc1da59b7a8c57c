"""Write a run as a FiftyOne dataset: labels and answers.

    pipeline fiftyone exported
    pipeline fiftyone exported --top 10 --logits

    >>> import fiftyone as fo
    >>> dataset = fo.Dataset.from_dir("exported", dataset_type=fo.types.FiftyOneDataset)

The videos stay where they are. FiftyOne itself is not needed to write it. docs/ui.md says what it holds.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.cli.arguments import DATA, at_least_one
from pipeline.core.errors import UserError

if TYPE_CHECKING:
    from pipeline.ui.catalogue import Catalogue
    from pipeline.ui.frame_clock import FrameClock


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("folder", type=Path, help="new folder that is written")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of a run's outs (default: %(default)s)")
    parser.add_argument(
        "--top", type=at_least_one, default=5, metavar="N", help="classes of a model and video (default: %(default)s)"
    )
    parser.add_argument("--logits", action="store_true", help="write the logits of all classes as well")


def run(args: argparse.Namespace) -> None:
    """Write the folder."""
    from pipeline.core import params
    from pipeline.core.plural import number_of
    from pipeline.core.remote_folder import RemoteFolder, corpus_root
    from pipeline.ui.catalogue import Catalogue
    from pipeline.ui.fiftyone_dataset import Export

    if args.folder.exists():
        raise UserError(f"{args.folder} is there already. Name another folder, or delete it first.")
    root = corpus_root(params.text("dataset.root"))
    if isinstance(root, RemoteFolder):
        raise UserError(f"The corpus lies at {root}, and FiftyOne opens files of this machine alone.")
    catalogue = Catalogue.read(args.data, Path(params.text("machine.scratch")) / "ui")
    clocks = _clocks(catalogue, root) if catalogue.spans else {}
    export = Export(catalogue, root.absolute(), args.top, args.logits, clocks)
    print(f"{args.folder}: {number_of(export.write(args.folder), 'sample')}")


def _clocks(catalogue: "Catalogue", root: Path) -> "dict[str, FrameClock]":
    """Path of a file that has segments -> its frames, where it can be read."""
    from pipeline.core.machine import load_machine, parallel
    from pipeline.ui.frame_clock import FrameClock

    machine = load_machine()
    binary = machine.ffmpeg_path()
    paths = sorted({catalogue.paths[video].as_py() for video in catalogue.spans})
    found = parallel(lambda path: FrameClock.read(root / path, binary), paths, machine.processes)
    return {path: clock for path, clock in zip(paths, found, strict=True) if clock}
