"""The check of `pipeline doctor --deep`: every byte of what the stages made, in data/ and in DVC's cache.

DVC looks at a file's time and size, so it does not notice a flipped bit. Where it links outs into data/, the damaged
file and the one in its cache are the same, and `dvc repro --force` links that one again. What makes a file again is to
delete both, then `dvc repro`.
"""

import hashlib
import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.cli.arguments import DATA
from pipeline.cli.finding import Finding, fail, ok, size
from pipeline.core import checksums
from pipeline.core.errors import UserError

LOCK = Path("dvc.lock")
DVC = Path(".dvc")
SHOWN = 8
"""Number of damaged files that the finding lists; the commands have all."""


class Sum(NamedTuple):
    """What a file's bytes must be."""

    algorithm: str
    """A name that hashlib knows."""
    digest: str


def content() -> Finding:
    """The bytes of data/ and of DVC's cache are those that were written, as dvc.lock and the lists SHA256SUMS say."""
    cache = cache_folder()
    cached, locked, listed = dict(_cached(cache)), dict(_locked(cache)), dict(_listed())
    wanted = {**listed, **cached, **locked}  # dvc.lock decides where both speak of a file
    damaged = _damaged(wanted)
    if not damaged:
        total = sum({(stat := path.stat()).st_ino: stat.st_size for path in wanted}.values())
        return ok(f"{len(wanted):,} files ({size(total)}) are as they were written")
    shown = ", ".join(map(str, damaged[:SHOWN])) + (", ..." if len(damaged) > SHOWN else "")
    ours = [path for path in damaged if path in cached or path in locked]
    others = sorted({str(path.parent) for path in damaged if path not in ours})
    steps = [f"rm -f {shlex.join(map(str, ours))} && dvc repro"] if ours else []
    steps += [f"No stage here made {', '.join(others)}: copy, or import, what is there anew."] if others else []
    return fail(f"{len(damaged)} of {len(wanted):,} files are damaged, or were changed: {shown}", "\n".join(steps))


def cache_folder() -> Path:
    """The folder of DVC's cache."""
    from dvc.config import Config

    return Path(Config(DVC)["cache"].get("dir") or DVC / "cache")


def stages_run() -> dict[str, Any] | None:
    """What DVC has noted of each stage that has run; None where its file is damaged."""
    import yaml
    from dvc.schema import COMPILED_LOCKFILE_SCHEMA
    from voluptuous import Invalid

    if not LOCK.is_file():
        return {}
    try:
        stages: dict[str, Any] = COMPILED_LOCKFILE_SCHEMA(yaml.safe_load(LOCK.read_text(encoding="utf-8")))["stages"]
    except (Invalid, yaml.YAMLError, ValueError):
        return None
    return stages


def _cached(cache: Path) -> Iterator[tuple[Path, Sum]]:
    """What DVC keeps, of this and of earlier settings; an object is called by its own hash."""
    for path in sorted((cache / "files" / "md5").glob("??/*")):
        yield path, Sum("md5", path.parent.name + path.name.removesuffix(".dir"))


def _locked(cache: Path) -> Iterator[tuple[Path, Sum]]:
    """The outs that are there; of a folder its files, where the cache still has the list of them."""
    for stage in (stages_run() or {}).values():
        for out in stage.get("outs", ()):
            path, digest = Path(out["path"]), out["md5"]
            files = {path: digest}
            if digest.endswith(".dir"):
                files = {path / name: each for name, each in _folder(_object(cache, digest)).items()}
            yield from ((file, Sum("md5", each)) for file, each in files.items() if file.is_file())


def _folder(listed: Path) -> dict[str, str]:
    """Name of a file in an out -> its MD5, by DVC's list; nothing where that is missing or itself damaged."""
    try:
        return {entry["relpath"]: entry["md5"] for entry in json.loads(listed.read_bytes())}
    except (OSError, ValueError, LookupError, TypeError):
        return {}


def _listed() -> Iterator[tuple[Path, Sum]]:
    """The files of data/ that a list SHA256SUMS beside them names, whoever made them."""
    for listed in sorted(DATA.rglob(f"*{checksums.NAME}")):
        try:
            names = checksums.read(listed)
        except UserError:
            yield listed, Sum("sha256", "none")
            continue
        yield from ((listed.parent / name, Sum("sha256", digest)) for name, digest in names.items()
                    if (listed.parent / name).is_file())  # fmt: skip


def _object(cache: Path, digest: str) -> Path:
    return cache / "files" / "md5" / digest[:2] / digest[2:]


def _damaged(wanted: dict[Path, Sum]) -> list[Path]:
    """The files that are not as they should be; linked ones are read once."""
    from pipeline.core.progress_bar import progress_bar

    known: dict[tuple[int, int, str], str] = {}
    found = []
    with progress_bar(total=len(wanted), desc="content", unit="file") as bar:
        for path, (algorithm, digest) in wanted.items():
            place = path.stat().st_dev, path.stat().st_ino, algorithm
            if place not in known:
                with path.open("rb") as file:
                    known[place] = hashlib.file_digest(file, algorithm).hexdigest()
            if known[place] != digest:
                found.append(path)
            bar.update()
    return sorted(found)


CHECKS = (content,)
