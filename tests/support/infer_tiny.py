"""Score the tiny model in a process of its own, which may start others.

    python tests/support/infer_tiny.py FOLDER OUT '{"devices": 2}' net other

FOLDER holds the packed corpus and the models; the predictions of the first model are written to OUT, the scratch folder
lies beside it. {rank} in FOLDER, and in the setting `scratch`, is the number of the process: what nodes do not share. A
"share" beside "devices" is that of `--shard`; a "gate" is a file without which nodes of Ray go no further than their
fifth video.
"""

import json
import logging
import os
import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from pipeline.core.share import Share
from pipeline.inference import run
from tests.support import hindrances, inference, tiny


def main(folder: Path, out: Path, machine: dict, names: list[str]) -> None:
    corpus = tiny.corpus(folder / "lmdb", **inference.VIDEOS)
    tests = dict.fromkeys(names, inference.VIEWS)
    share, gate = Share.parse(machine.pop("share", "1/1")), machine.pop("gate", None)
    machine = tiny.machine(Path(machine.pop("scratch", out.parent / "work")), **machine)
    if gate:
        run.score = partial(hindrances.gated_score, Path(gate))
    run.run_inference(
        names[0], tests, *corpus, folder / "models" / names[0], out / names[0], machine, share if share.of > 1 else None
    )


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    given, out, machine, *names = (text.replace("{rank}", os.environ.get("LOCAL_RANK", "0")) for text in sys.argv[1:])
    main(Path(given), Path(out), json.loads(machine), names or ["net"])
