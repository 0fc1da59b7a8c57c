"""The flow of new video files, for members that take it."""

import logging
from collections.abc import Sequence
from typing import ClassVar

from pipeline.clips.flow_store import PER_FLOW
from pipeline.clips.frame_source import FrameSource
from pipeline.core import faults
from pipeline.core.errors import UserError
from pipeline.flow import config as flow
from pipeline.flow import dis
from pipeline.flow.config import FlowConfig
from pipeline.flow.dis import Flow, NoFlow
from pipeline.layers.frame_input import Takes

log = logging.getLogger(__name__)


class NewFlow:
    """The flow of one video that is in no store, as `dataset.decode_video` reads it."""

    holds: ClassVar[Takes] = "flow"

    def __init__(self, computed: Flow) -> None:
        self.jpegs = [memoryview(data) for data in computed.jpegs]

    def at(self, side: int) -> "NewFlow":  # noqa: ARG002 - there is one size
        """Itself."""
        return self

    def frames(self, video: str) -> int:  # noqa: ARG002 - there is one video
        """The number of flows."""
        return len(self.jpegs) // PER_FLOW

    def read(self, video: str, indices: Sequence[int]) -> list[memoryview]:  # noqa: ARG002 - as above
        """The JPEGs of some flows, x and y of each."""
        return [self.jpegs[PER_FLOW * index + part] for index in indices for part in range(PER_FLOW)]

    def damaged(self, video: str, why: object) -> UserError:
        """What was just encoded does not decode."""
        return UserError(f"The flow of {video} does not decode ({why}).")


def check(config: FlowConfig) -> None:
    """See that flow can be computed, and say where it is another one than the models have learnt from.

    Raises:
        UserError: OpenCV is missing.
    """
    flow.library()
    if config.folder is not None:
        log.warning(
            "the models have learnt from flow that another program computed (flow.folder: %s); that of new videos is "
            "computed here, and so is another one",
            config.folder,
        )


def of(source: FrameSource, video: str, config: FlowConfig) -> NewFlow | NoFlow:
    """The flow of a video, or why there is none.

    Raises:
        UserError: a frame does not decode.
    """
    sized = source if config.short_side is None else source.at(config.short_side)
    try:
        return NewFlow(dis.flow_of(sized.read(video, range(sized.frames(video))), config))
    except NoFlow as none:
        return none
    except ValueError as error:
        if faults.told(error) is not None:  # the decoder's word for too little memory
            raise
        raise sized.damaged(video, error) from error
