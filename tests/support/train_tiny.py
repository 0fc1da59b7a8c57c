"""Train the tiny model in a process of its own.

    python tests/support/train_tiny.py FOLDER NAME '{"model": {...}, "machine": {...}}'

The corpus is made in FOLDER/lmdb beforehand, the result lies in FOLDER/NAME, the resume state in FOLDER/NAME-work.
"""

import json
import logging
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from pipeline.runtime.signals import Stopped
from pipeline.training.trainer import fit
from tests.support import tiny


def main(folder: Path, name: str, settings: dict) -> None:
    model, machine = settings.get("model", {}), settings.get("machine", {})
    options = model.pop("options", {})
    config = tiny.model(**model)
    config.options.update(options)
    try:
        fit(config, *tiny.corpus(folder / "lmdb"), folder / name, tiny.machine(folder / f"{name}-work", **machine))
    except Stopped as stopped:
        sys.exit(stopped.status)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    main(Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3]))
