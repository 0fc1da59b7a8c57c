"""ReportConfig: section `report` of params.yaml, what the page may hold besides figures."""

from dataclasses import dataclass

from pipeline.core import params


@dataclass(frozen=True)
class ReportConfig:
    """Section `report` of params.yaml."""

    strips_megabytes: float = 3.0
    """Most megabytes (10^6 bytes) of frame strips in the page: first those of the gallery, then the misses and false
    alarms of each class in turn. What has none for that reason says so; 0: no frames at all."""
    video_links: bool = True
    """Whether the page plays videos from `dataset.root`, where they lie on this machine; false for a page that is given
    away, as an absolute root would stand in it."""

    def __post_init__(self) -> None:
        params.require((0 <= self.strips_megabytes <= 1000, "strips_megabytes must be between 0 and 1000"))
