"""Which files of a folder are videos, by their names."""

from pathlib import Path

SUFFIXES = (
    *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".wmv", ".flv", ".mpg", ".mpeg", ".3gp", ".ogv", ".ts", ".mts"),
    *(".m2ts", ".vob", ".asf", ".y4m"),
)
"""What the name of a video ends with, in small letters."""


def inside(folder: Path) -> list[Path]:
    """The videos in a folder and in the folders below it, sorted by path; hidden files and folders do not count."""
    found = (file for file in folder.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
    return sorted(f for f in found if not any(part.startswith(".") for part in f.relative_to(folder).parts))
