"""Stage `check`: all of params.yaml -> a file that is there when every setting is right, and the overrides of conf/.

    python -m stages.check data/predictions data/checked.txt data/overrides.json

Every other stage depends on the first, which is always the same. `pipeline check` says the same and writes nothing.
"""

import logging
from pathlib import Path

from pipeline.check import check, doubts
from pipeline.cli import compose
from pipeline.core import files, params
from stages.command import run

log = logging.getLogger(__name__)


def main(predictions: Path, checked: Path, overrides: Path) -> None:
    """Refuse wrong settings before any other stage starts."""
    for out in (checked, overrides):
        out.unlink(missing_ok=True)
    compose.announce(params.FILE, Path("conf"))
    settings = params.read_all()
    check(settings, predictions)
    for doubt in doubts(settings):
        log.warning("%s", doubt)
    files.write_json(overrides, compose.overrides(params.FILE, Path("conf")))
    files.write_text(checked, "every setting is right\n")
    print(f"{checked}: every setting is right")


if __name__ == "__main__":
    run(main)
