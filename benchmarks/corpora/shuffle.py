"""Corpus of noise: the clips of another corpus, whose labels are dealt out to them anew at random.

    python benchmarks/corpora/shuffle.py CORPUS OUT --seed 0

CORPUS is a folder with labels.csv, such as another script here writes. OUT/labels.csv has the same rows but for the
column of labels, in a random order; the clips are hard links. Whatever a model says of them is chance, and the tables,
the page and the log must say so: docs/small.md has what came of five shuffles.
"""

import argparse
import csv
import os
from pathlib import Path

import numpy as np


def shuffled(rows: list[dict[str, str]], seed: int) -> list[dict[str, str]]:
    """The same rows, with their labels in a random order."""
    (column,) = {"label", "labels"} & rows[0].keys()
    order = np.random.default_rng(seed).permutation(len(rows))
    return [{**row, column: rows[other][column]} for row, other in zip(rows, order, strict=True)]


def main() -> None:
    """Link the clips and write labels.csv."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("corpus", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    with (args.corpus / "labels.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    args.out.mkdir(parents=True)
    for row in rows:
        os.link(args.corpus / row["path"], args.out / row["path"])
    with (args.out / "labels.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(shuffled(rows, args.seed))


if __name__ == "__main__":
    main()
