"""Links from the page to the video files, which play where they lie: relative to the page, or on this machine."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from pipeline.core.manifest import Manifest
from pipeline.core.segments import Segment


@dataclass(frozen=True)
class VideoLinks:
    """Where a page finds the video files."""

    base: str
    """URL of the folder of the corpus, with a slash at its end; empty where there are no links."""
    files: dict[str, str]
    """Video -> what stands after `base`: its path, quoted, and the span of a segment (``#t=12.5,20``)."""

    @classmethod
    def of(cls, manifest: Manifest, root: str, page: Path) -> "VideoLinks":
        """Links from a file in the folder `page` to the videos of `manifest`.

        The path is relative where `root` is, so that the project can lie anywhere. A corpus behind a URL has no links,
        as the page asks nobody for anything.
        """
        if "://" in root:
            return NONE
        if Path(root).is_absolute():
            base = Path(root).as_uri()
        else:
            base = quote(Path(os.path.relpath(root, page)).as_posix())
            base = base if base.startswith(".") else f"./{base}"  # "a:b/" would be read as a scheme
        rows = manifest.table.to_dict("records")
        return cls(f"{base}/", {row["video"]: quote(row["path"]) + _span(Segment.of(row)) for row in rows})

    def to(self, video: str) -> str:
        """The URL of a video's file; empty without links."""
        return self.base + self.files[video] if self.base else ""

    def some(self, videos: Iterable[str]) -> dict[str, str]:
        """What stands after `base`, of some videos; empty without links."""
        return {video: self.files[video] for video in videos} if self.base else {}


NONE = VideoLinks("", {})


def _span(segment: Segment | None) -> str:
    if segment is None:
        return ""
    end = "" if segment.end == float("inf") else f",{segment.end:.15g}"
    return f"#t={segment.start:.15g}{end}"
