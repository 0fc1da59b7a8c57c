"""How every stage is run: `python -m stages.<stage> PATH ...`, by DVC or by hand."""

import argparse
import inspect
import logging
import sys
from collections.abc import Callable
from pathlib import Path

from pipeline import compose
from pipeline.errors import BadInput


def run(main: Callable[..., None]) -> None:
    """Call `main` with the command line's arguments, one for each of its parameters.

    What the user can mend is printed as one message; anything else keeps its traceback.
    """
    module = sys.modules[main.__module__]
    parser = argparse.ArgumentParser(description=module.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for parameter in inspect.signature(main).parameters.values():
        parser.add_argument(parameter.name, type=parameter.annotation)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        compose.announce(Path("params.yaml"), Path("conf"))
        main(**vars(arguments))
    except BadInput as error:
        told = str(error).rpartition(f"{BadInput.__name__}: ")[2]  # a loader's worker wraps it in its traceback
        sys.exit(f"error: {told.rstrip()}")
