"""How every stage is run: `python -m stages.<stage> PATH ...`, by DVC or by hand."""

import argparse
import contextlib
import inspect
import logging
import os
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pipeline.core import faults, params, status
from pipeline.core.errors import UserError
from pipeline.core.share import Share
from pipeline.runtime.signals import Stopped

RANKS = ("RANK", "LOCAL_RANK", "SLURM_PROCID")
"""What launchers call the number of a process."""
EXPERIMENT = "DVC_EXP_NAME"
"""What `dvc exp run` calls the experiment in the environment of a stage."""
WAY_BACK = (
    "`dvc exp run` has written its settings to params.yaml. What was committed comes back with "
    "`git restore params.yaml dvc.lock data/metrics.json && dvc checkout`."
)
SHARD = "shard"
ARGUMENTS = {
    "checked": "file that is written when all is right",
    "model": "its name under `models` in params.yaml",
    "manifest": "manifest.tsv: a row a video",
    "classes": "classes.txt: a name a line",
    "of_groups": "groups.tsv: the group of each video that has one",
    "of_doubles": "doubles.tsv: the videos whose files have the same bytes as another one",
    "frames": "folder of the frame shards and their index",
    "index": "the index of the frames: a row a video that gave some",
    "broken": "broken.tsv: the videos that gave no frame",
    "lmdb": "folder of the packed frames",
    "sound": "folder of the sound, which is there where a model hears",
    "ledger": "no_sound.tsv: the videos that gave no sound",
    "flow": "folder of the flow, which is there where a model takes it",
    "no_flow": "no_flow.tsv: the videos that gave no flow",
    "stats": "folder of the class statistics",
    "weights": "folder of a trained model",
    "pretrained": "folder of the ImageNet weights that the stage `weights` fetched",
    "features": "folder with a folder of features for each frozen network",
    "models": "folder with a folder for each trained model",
    "splits": "folder with the manifest and class statistics of each fold",
    "epochs": "the epochs that the folds picked, and the median of their shares",
    "predictions": "folder with a folder of predictions for each model",
    "ensemble": "folder of the fused predictions and their figures",
    "metrics": "the figures for `dvc exp show`",
    "overrides": "overrides.json: which settings differ from conf/",
    "out": "folder that is written",
    SHARD: "do a share of the work, such as 3/16, the third of sixteen, in the scratch folder that all calls share; "
    "the last of them that ends writes the outs",
}
"""What the stages' arguments are; dvc.yaml has the paths."""


def run(main: Callable[..., None]) -> None:
    """Call `main` with the command line's arguments, one for each of its parameters.

    What the user can mend, or the machine refuses, is printed as one message; anything else keeps its traceback. Of
    several processes that share a stage, only the first talks.
    """
    module = sys.modules[main.__module__]
    name = f"python -m stages.{Path(str(module.__file__)).stem}"
    parser = argparse.ArgumentParser(
        name, description=module.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for parameter in inspect.signature(main).parameters.values():
        if parameter.name == SHARD:
            parser.add_argument(f"--{SHARD}", type=Share.parse, metavar="I/N", help=ARGUMENTS[SHARD])
        else:
            parser.add_argument(parameter.name, type=parameter.annotation, help=ARGUMENTS[parameter.name])
    arguments = parser.parse_args()
    first = not any(int(os.environ.get(rank) or 0) for rank in RANKS)
    level = logging.INFO if first else logging.WARNING
    logging.basicConfig(level=level, format="%(message)s", stream=sys.stderr)
    try:
        with _reported(Path(str(module.__file__)).stem, vars(arguments)) if first else contextlib.redirect_stdout(None):
            main(**vars(arguments))
    except Stopped as stopped:
        logging.getLogger(__name__).info("stopped at %s; run the same command to go on", stopped)
        sys.exit(stopped.status)
    except KeyboardInterrupt:
        logging.getLogger(__name__).info("stopped; run the same command to go on")
        sys.exit(128 + signal.SIGINT)
    except Exception as error:
        if isinstance(error, UserError):
            told = str(error).rpartition(f"{UserError.__name__}: ")[2]  # a loader's worker wraps it in its traceback
        elif (refused := faults.told(error)) is not None:
            told = refused
        else:
            raise
        in_place = "exps" not in Path.cwd().parts  # a queued experiment runs in a copy, below .dvc/tmp/exps
        way_back = f"\n{WAY_BACK}" if EXPERIMENT in os.environ and in_place else ""
        sys.exit(f"error{'' if first else ' (one of several processes)'}: {told.rstrip()}{way_back}")


def _reported(stage: str, arguments: Mapping[str, Any]) -> contextlib.AbstractContextManager[Any]:
    """Which stage this is, for `pipeline watch`; nothing where params.yaml names no scratch folder."""
    try:
        scratch = Path(params.text("machine.scratch"))
    except UserError:
        return contextlib.nullcontext()
    with contextlib.suppress(OSError, ValueError):  # who needs the folder says what is wrong with it
        status.running(scratch)  # deletes what stages that were killed have left
    of = {name: str(arguments[name]) for name in ("model", "out", SHARD) if arguments.get(name)}
    return status.reported(scratch, {"stage": stage, **of, "experiment": os.environ.get(EXPERIMENT)})
