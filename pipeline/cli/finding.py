"""What a check of `pipeline doctor` found."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """One line of `pipeline doctor`."""

    state: Literal["ok", "warn", "FAIL"]
    found: str
    remedy: str = ""
    """What to do, where there is something to do."""


def ok(found: str, remedy: str = "") -> Finding:
    """All is well."""
    return Finding("ok", found, remedy)


def warn(found: str, remedy: str) -> Finding:
    """The pipeline runs, but slower, or other than one may think."""
    return Finding("warn", found, remedy)


def fail(found: str, remedy: str) -> Finding:
    """Some stage will not run."""
    return Finding("FAIL", found, remedy)


def size(count: int) -> str:
    """A number of bytes in words: ``1.5 GiB``."""
    power = min((max(count, 1).bit_length() - 1) // 10, 4)
    return f"{count / 1024**power:,.1f} {('bytes', 'KiB', 'MiB', 'GiB', 'TiB')[power]}"
