"""Score the tiny model in a process of its own, which may start others.

    python tests/infer_tiny.py FOLDER OUT '{"devices": 2}'

FOLDER holds the packed corpus and the models; the result lies in OUT/net, finished blocks beside OUT.
"""

import json
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]

import tiny  # noqa: E402 - found by the line above

from pipeline import inference  # noqa: E402
from pipeline.views import ViewConfig  # noqa: E402


def main(folder: Path, out: Path, machine: dict) -> None:
    corpus = tiny.corpus(folder / "lmdb", val=22, test=18)
    tests = {"net": ViewConfig(clips=2, sides=(32, 36), crop=32)}
    on = tiny.machine(out.parent / "work", **machine)
    inference.run("net", tests, *corpus, folder / "models" / "net", out / "net", on)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3]))
