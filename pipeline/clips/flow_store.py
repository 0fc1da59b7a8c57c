"""FlowStore: the optical flow of a corpus, in LMDB files like those of the frames.

Flow i of a video says how each pixel moves from frame i to frame i + 1: two grey JPEGs, the way to the right and the
way down. 128 is no motion, and what lies `flow.bound` pixels away is at the ends of the range (pipeline/flow/dis.py).
In the layout of frame_store.py they are the frames 2i and 2i + 1 of the video, and its index counts both.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import ClassVar, Literal

from pipeline.clips.frame_store import FrameStore

PER_FLOW = 2
"""JPEGs of a flow: x, then y."""


class FlowStore(FrameStore):
    """The flow of a corpus: pairs of JPEGs by video and number of the flow.

    Args:
        root: the folder that stage `flow` wrote.
        whole: the videos that gave frames. Others are broken to every model, and their flow is left out; None takes
            all flow.

    Raises:
        UserError: the index is missing or damaged.
    """

    stage: ClassVar = "flow"
    holds: ClassVar[Literal["frames", "flow"]] = "flow"
    ledger: ClassVar = "data/no_flow.tsv"

    def __init__(self, root: Path, whole: Iterable[str] | None = None) -> None:
        super().__init__(root)
        self._whole = None if whole is None else frozenset(whole)

    def __contains__(self, video: str) -> bool:
        """Whether the video has flow."""
        return super().__contains__(video) and not self.broken(video)

    def broken(self, video: str) -> bool:
        """Whether the video is broken, and does not merely lack flow."""
        return self._whole is not None and video not in self._whole

    @property
    def videos(self) -> list[str]:
        """The ids of all videos that have flow, sorted."""
        return [video for video in super().videos if not self.broken(video)]

    def frames(self, video: str) -> int:
        """The number of flows of a video, one less than it has frames."""
        return super().frames(video) // PER_FLOW

    def read(self, video: str, indices: Sequence[int]) -> list[memoryview]:
        """The JPEGs of some flows, counted from 0, in the order asked for: x and y of the first one, of the next, ...

        Raises:
            UserError: the video has no flow, the shard is damaged or lacks it.
            IndexError: the video has no such flow.
        """
        return super().read(video, [PER_FLOW * index + part for index in indices for part in range(PER_FLOW)])
