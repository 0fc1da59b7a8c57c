"""SHA256SUMS: the SHA-256 of the files of an out, beside them, so that damage at rest is noticed by who reads them.

The format is that of `sha256sum`: in a folder that somebody copied, `sha256sum --check SHA256SUMS` finds the same
without this program. Where a stage writes files beside those of others, its list bears a name before, such as
manifest.SHA256SUMS. A file that no list names is taken as it is: who puts one there by hand need not count its bytes.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from pipeline.core import files
from pipeline.core.errors import UserError

NAME = "SHA256SUMS"
REBUILD = "`pipeline doctor --deep` finds all that is damaged, and prints the commands that make it again."
"""What to do about damage. No `dvc repro --force` mends it: DVC then links its own copy, which has the same damage."""
_LINE = re.compile(r"([0-9a-f]{64}) [ *](.+)")


def write(listed: Path, paths: Iterable[Path], known: Mapping[str, str] | None = None) -> None:
    """Write the list `listed` of some files of its folder, sorted by name.

    Args:
        known: name of a file -> its SHA-256, where it was computed before.
    """
    names = sorted(path.name for path in paths)
    sums = known or {}
    lines = [f"{sums.get(name) or files.file_hash(listed.parent / name)}  {name}\n" for name in names]
    files.write_text(listed, "".join(lines))


def seal(folder: Path, known: Mapping[str, str] | None = None) -> None:
    """Write the list of all files in a folder, but not of those in folders below; `known` is that of `write`."""
    write(folder / NAME, (path for path in folder.iterdir() if path.is_file() and path.name != NAME), known)


def check(path: Path, found: str | None = None) -> None:
    """Refuse a file that is not the one of the lists beside it.

    Args:
        path: the file; one that is missing, or in no list, passes.
        found: its SHA-256, where it was computed before.

    Raises:
        UserError: its bytes have changed since it was written, or a list is damaged.
    """
    for listed in sorted(path.parent.glob(f"*{NAME}")):
        wanted = read(listed).get(path.name)
        if wanted and path.is_file() and wanted != (found or files.file_hash(path)):
            raise UserError(
                f"{path} is damaged: its bytes are not those that were written, of which {listed.name} beside it has "
                f"the hash. (If you replaced it on purpose, take its line out of that list.) {REBUILD}"
            )


def text(path: Path) -> str:
    """The text of a file that `check` has let pass.

    Raises:
        UserError: as `check` does.
    """
    check(path)
    return path.read_text(encoding="utf-8")


def read(listed: Path) -> dict[str, str]:
    """Name of a file in the folder -> its SHA-256, as the list says.

    Raises:
        UserError: a line is none of `sha256sum`, or the list does not end with one.
    """
    lines = listed.read_text(encoding="utf-8", errors="replace").split("\n")
    matches = [_LINE.fullmatch(line) for line in lines[:-1]]
    if lines[-1] or not all(matches):
        raise UserError(f"{listed} is damaged: it is no list of `sha256sum`. {REBUILD}")
    return {match[2]: match[1] for match in matches if match}
