"""How fast this machine makes flow and extracts sound, for `pipeline plan`."""

import math
from collections.abc import Mapping
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from typing import Any

from pipeline.cli.compute_rates import cpu_seconds
from pipeline.clips.flow_store import FlowStore
from pipeline.clips.frame_store import FrameStore
from pipeline.clips.sound_store import RATE
from pipeline.core import files, params
from pipeline.core.errors import UserError
from pipeline.core.machine import Machine
from pipeline.core.manifest import Manifest
from pipeline.core.remote_folder import RemoteFolder
from pipeline.core.segments import Segment
from pipeline.extraction import videos
from pipeline.extraction.config import ExtractConfig
from pipeline.extraction.outcome import NoFrames
from pipeline.flow.compute import compute_flow
from pipeline.flow.config import FlowConfig
from pipeline.sound.decode import decode


def flow(
    every: Mapping[str, Any], corpus: Manifest, folder: Path, machine: Machine, made: bool
) -> tuple[FlowStore, float, float]:
    """The flow of videos: computed from the packed frames in `folder`, or that of `flow.folder`, where it is set.

    Args:
        every: all settings.
        corpus: the videos, each of which has frames.
        folder: holds `lmdb`, and gets what is made.
        made: whether the videos were made for the plan, so that `flow.folder` has flow of others alone.

    Returns:
        the flow, the number of frames whose flow a core makes or takes over in a second, and its bytes of one frame.

    Raises:
        UserError: no video has flow; or as `compute_flow`.
    """
    config, frames = params.build(FlowConfig, every["flow"], "flow"), FrameStore(folder / "lmdb")
    if made and config.folder is not None:
        config = replace(config, folder=str(_lent(Path(config.folder), corpus, frames, folder / "lent")))
    start = cpu_seconds()
    compute_flow(corpus, frames.root, folder / "flow", folder / "no_flow.tsv", config, machine, needed=())
    used, store = cpu_seconds() - start, FlowStore(folder / "flow")
    if not store.videos:
        others = "with longer --seconds or more pixels" if made else "that --videos describes, of which clips are made"
        raise UserError(
            f"None of the {len(corpus)} videos that were looked at has flow, as said above, so what flow costs is not "
            f"known. Plan for a corpus {others}, or for models without flow."
        )
    count = sum(frames.frames(video) for video in store.videos)
    return store, count / used, sum(file.stat().st_size for file in store.root.glob("*.lmdb")) / count


def _lent(root: Path, corpus: Manifest, frames: FrameStore, out: Path) -> Path:
    """Flow of one video in `root` under the ids of others, over and over: a flow for each of their frames but the last.

    Raises:
        UserError: there is no flow in `root`.
    """
    first = next(root.rglob("*x_*.jp*g"), None)
    if first is None:
        raise UserError(f"flow.folder: {root} has no VIDEO/flow_x_00000.jpg or VIDEO/x_00001.jpg, at any depth.")
    theirs = sorted(first.parent.glob("*x_*.jp*g"))
    for video in corpus.videos:
        (out / video).mkdir(parents=True)
        for number, file in zip(range(frames.frames(video) - 1), cycle(theirs), strict=False):
            for part in "xy":
                name = file.name.replace("x_", f"{part}_")
                (out / video / f"{part}_{number:05}.jpg").symlink_to(file.with_name(name).resolve())
    return out


def sound(root: Path | RemoteFolder, corpus: Manifest, config: ExtractConfig, machine: Machine, folder: Path) -> float:
    """Seconds of sound that a core extracts in a second; infinite where no video has any."""
    binary, source = machine.ffmpeg_path(), videos.of(root, 1, machine.scratch_gb)
    start, samples = cpu_seconds(children=True), 0
    for number, row in enumerate(corpus.table.to_dict("records")):
        with files.temporary_folder(folder) as temporary, source.at_hand(row, folder / f"{number}.video") as video:
            try:
                samples += len(decode(video, temporary, config, binary, Segment.of(row)))
            except NoFrames:
                continue
    return samples / RATE / (cpu_seconds(children=True) - start) if samples else math.inf
