"""How fast this machine computes flow and extracts sound, for `pipeline plan`."""

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline.cli.compute_rates import cpu_seconds
from pipeline.clips.flow_store import FlowStore
from pipeline.clips.sound_store import RATE
from pipeline.core import files, params
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


def flow(every: Mapping[str, Any], corpus: Manifest, folder: Path, machine: Machine) -> tuple[FlowStore, float, float]:
    """The flow of videos, computed from the packed frames in `folder`.

    Args:
        every: all settings.
        corpus: the videos, each of which has frames.
        folder: holds `lmdb`, and gets what is made.

    Returns:
        the flow, how many flows a core computes in a second, and the bytes of one.
    """
    config = replace(params.build(FlowConfig, every["flow"], "flow"), folder=None)
    start = cpu_seconds()
    compute_flow(corpus, folder / "lmdb", folder / "flow", folder / "no_flow.tsv", config, machine)
    used, store = cpu_seconds() - start, FlowStore(folder / "flow")
    flows = sum(store.frames(video) for video in store.videos)
    return store, flows / used, sum(file.stat().st_size for file in store.root.glob("*.lmdb")) / flows


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
