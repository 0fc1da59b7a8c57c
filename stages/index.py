"""Stage `index`: the corpus' own files -> one manifest, validated.

    python -m stages.index data/manifest.tsv data/classes.txt data/groups.tsv data/doubles.tsv

Section `dataset` of params.yaml. It runs in every `dvc repro`, as it is what notices new and replaced videos: DVC does
not hash the corpus. What it writes changes only with the videos, their labels and these settings.
"""

from pathlib import Path

from pipeline.clips import flips
from pipeline.core import checksums, doubles, fingerprints, groups, params, registry, tsv
from pipeline.core.machine import load_machine, scratch_folder
from pipeline.core.manifest import SPLITS, DatasetConfig
from pipeline.core.plural import number_of
from pipeline.core.remote_folder import corpus_root
from pipeline.datasets import _doubles
from stages.command import run


def main(manifest: Path, classes: Path, of_groups: Path, of_doubles: Path) -> None:
    """Read the corpus and write its manifest, class list, groups and doubles."""
    config, machine = params.load("dataset", DatasetConfig), load_machine()
    place = corpus_root(config.root), scratch_folder(machine, "index"), machine.processes
    corpus = fingerprints.look(registry.find("datasets", config.format).read(config), *place)
    corpus, found = _doubles.settle(config, corpus, doubles.find(corpus, *place))
    tsv.write(of_doubles, found)
    checksums.write(of_doubles.with_suffix(f".{checksums.NAME}"), [of_doubles])
    _doubles.tell(config, found, corpus)
    flips.resolve(config.flip, corpus.classes)  # what is wrong or doubtful is said now, not when training starts
    corpus.write(manifest, classes)
    groups.write(of_groups, corpus.groups)
    checksums.write(manifest.with_suffix(f".{checksums.NAME}"), [manifest, classes, of_groups])
    sizes = ", ".join(f"{len(corpus.split(name)):,} {name}" for name in SPLITS)
    of_classes = number_of(len(corpus.classes), "class", "classes")
    print(f"{manifest}: {number_of(len(corpus), 'video')} ({sizes}), {of_classes}")


if __name__ == "__main__":
    run(main)
