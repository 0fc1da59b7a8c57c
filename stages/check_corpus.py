"""Stage `check_corpus`: the manifest -> a file that is there when the corpus fits its settings, and is always the same.

    python -m stages.check_corpus data/manifest.tsv data/classes.txt data/groups.tsv data/corpus_checked.txt

Sections `models`, `ensemble` and `dataset` of params.yaml. `pipeline check` says the same where there is a manifest.
"""

from pathlib import Path

from pipeline import check_corpus
from pipeline.core import files, params
from pipeline.core.manifest import Manifest
from stages.command import run


def main(manifest: Path, classes: Path, of_groups: Path, checked: Path) -> None:
    """Refuse a corpus that does not fit its settings, before any frame is extracted."""
    checked.unlink(missing_ok=True)
    check_corpus.check(Manifest.read(manifest, classes, of_groups), params.read_all())
    files.write_text(checked, "the corpus fits its settings\n")
    print(f"{checked}: the corpus fits its settings")


if __name__ == "__main__":
    run(main)
