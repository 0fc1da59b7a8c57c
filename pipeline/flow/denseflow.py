"""Flow that another program has computed: folders of JPEGs as denseflow and its like write them.

    FOLDER/VIDEO/flow_x_00000.jpg, flow_y_00000.jpg, ...     denseflow
    FOLDER/VIDEO/x_00001.jpg, y_00001.jpg, ...               MMAction2's renaming of it, from any first number on

VIDEO is the id of the video, or, where no other video has the same, its path without the suffix, or its name without
it. Of a segment it is the id alone: all else names the flow of the whole file.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pipeline.clips import jpeg
from pipeline.core.errors import UserError
from pipeline.core.segments import Segment
from pipeline.flow.dis import Flow, NoFlow

_NAME = re.compile(r"(?:flow_)?([xy])_([0-9]+)\.jpe?g")


@dataclass(frozen=True)
class FlowFolder:
    """A folder of flow.

    Args:
        root: the folder.
        unique: paths of video files, and their names, without their suffixes that one video alone of the corpus has.

    Raises:
        UserError: there is no such folder.
    """

    root: Path
    unique: tuple[frozenset[str], frozenset[str]]

    def __post_init__(self) -> None:
        if not self.root.is_dir():
            raise UserError(f"flow.folder: there is no folder {self.root}.")

    @classmethod
    def of(cls, root: str, paths: Iterable[str]) -> "FlowFolder":
        """The folder for a corpus of videos with these paths."""
        counted = (Counter(names) for names in zip(*map(_names, paths), strict=True))
        whole, stems = (frozenset(name for name, count in each.items() if count == 1) for each in counted)
        return cls(Path(root), (whole, stems))

    def signature(self, row: Mapping[str, str]) -> list[list[str | int]]:
        """What tells whether the files of a video have changed: the name, size and time of each."""
        folder = self._of(row)
        found = [] if folder is None else [(file.name, file.stat()) for file in sorted(folder.iterdir())]
        return [[name, stat.st_size, stat.st_mtime_ns] for name, stat in found]

    def flow_of(self, row: Mapping[str, str], frames: int) -> Flow:
        """The flow of a video, to the byte; `row` is that of the manifest, `frames` the number of its frames here.

        Raises:
            NoFlow: there is none, its files are not those of a flow, or one is no JPEG.
        """
        folder = self._of(row)
        if folder is None:
            raise NoFlow("missing", f"{self.root} has no folder of it")
        parts: dict[str, dict[int, Path]] = {"x": {}, "y": {}}
        for file in folder.iterdir():
            if name := _NAME.fullmatch(file.name):
                parts[name[1]][int(name[2])] = file
        numbers = sorted(parts["x"])
        if (
            not numbers
            or numbers != sorted(parts["y"])
            or numbers != list(range(numbers[0], numbers[0] + len(numbers)))
        ):
            raise NoFlow("partial", f"{folder} holds no row of files x_00001.jpg and y_00001.jpg without a gap")
        jpegs = [parts[part][number].read_bytes() for number in numbers for part in ("x", "y")]
        try:
            height, width = jpeg.size_of_all(jpegs)
        except ValueError as error:
            raise NoFlow("damaged", f"{folder}: {error}") from error
        note = f"{len(numbers)} flows there, and {frames} frames here" if len(numbers) != frames - 1 else ""
        return Flow(jpegs, width, height, note)

    def _of(self, row: Mapping[str, str]) -> Path | None:
        names = [row["video"]]
        if Segment.of(row) is None:
            names += [name for name, unique in zip(_names(row["path"]), self.unique, strict=True) if name in unique]
        inside = [self.root / name for name in names if not PurePosixPath(name).is_absolute()]
        return next((folder for folder in inside if folder.is_dir()), None)


def _names(path: str) -> tuple[str, str]:
    """The path and the name of a video file without its suffix."""
    file = PurePosixPath(path)
    return str(file.with_suffix("")), file.stem
