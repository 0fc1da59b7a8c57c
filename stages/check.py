"""Stage `check`: all of params.yaml -> a file that is there when every setting is right, and is always the same.

    python -m stages.check data/predictions data/checked.txt

Every other stage depends on this file. `pipeline check` says the same and writes nothing.
"""

import logging
from pathlib import Path

from pipeline.check import check, doubts
from pipeline.cli import compose
from pipeline.core import files, params
from stages.command import run

log = logging.getLogger(__name__)


def main(predictions: Path, checked: Path) -> None:
    """Refuse wrong settings before any other stage starts."""
    checked.unlink(missing_ok=True)
    compose.announce(params.FILE, Path("conf"))
    settings = params.read_all()
    check(settings, predictions)
    for doubt in doubts(settings):
        log.warning("%s", doubt)
    files.write_text(checked, "every setting is right\n")
    print(f"{checked}: every setting is right")


if __name__ == "__main__":
    run(main)
