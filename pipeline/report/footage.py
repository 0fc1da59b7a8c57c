"""Footage: what the page has of its videos, small frames and where the files lie."""

from dataclasses import dataclass
from pathlib import Path

from pipeline.clips.frame_store import FrameStore
from pipeline.report import video_links
from pipeline.report.config import ReportConfig
from pipeline.report.inputs import Inputs
from pipeline.report.strips import Strips
from pipeline.report.video_links import VideoLinks


@dataclass(frozen=True)
class Footage:
    """Frames and files of the videos of a page."""

    config: ReportConfig
    strips: Strips
    links: VideoLinks

    @classmethod
    def of(cls, inputs: Inputs, config: ReportConfig, root: str, page: Path) -> "Footage":
        """The footage of the split that a page in the folder `page` shows; `root` is `dataset.root`."""
        strips = Strips(FrameStore(inputs.paths.lmdb), int(config.strips_megabytes * 1_000_000))
        shown = inputs.manifest.split(inputs.split)
        return cls(config, strips, VideoLinks.of(shown, root, page) if config.video_links else video_links.NONE)
