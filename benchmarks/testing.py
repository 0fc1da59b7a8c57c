"""Testing on a CPU: how often a frame is decoded, and what decoding, cropping and the network take of a video's time.

    python benchmarks/testing.py        # --smoke: a second of video, small views

A video of three seconds at 426 x 320 pixels is scored with the report's views by networks of random weights, in one
process and thread. CPU time, the median of three rounds; the network is timed with one view and counted for all.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import torch
from loading import Corpus, draw

from pipeline.cli import model_table
from pipeline.cli.arguments import CLASSES, CONF
from pipeline.clips import dataset, frame_source, jpeg, sampling, views
from pipeline.clips.dataset import ClipCrop, DecodedVideo, ViewSpec
from pipeline.clips.views import ViewConfig
from pipeline.core.markdown import text_table
from pipeline.layers.normalize import normalize
from pipeline.runtime.allocator import keep_freed_memory
from pipeline.training.config import ModelConfig

IMAGE, VIDEO = ViewConfig(5, (256,), 256), ViewConfig(10, (128, 144, 160), None)
MODELS = {"tsm_lite0": IMAGE, "tsm_r50": IMAGE, "slowfast_8x8_r50": VIDEO}
SMOKE = {"tsm_lite0": ViewConfig(1, (64,), 64)}
PARTS = ("read and decode", "resize", "crop", "normalise", "network")


class Stopwatch:
    """Calls a function and keeps the CPU seconds of every call."""

    def __init__(self, function: Callable[..., object]) -> None:
        self.function, self.seconds = function, list[float]()

    def __call__(self, *arguments: object, **options: object) -> object:
        """What the function returns."""
        start = time.process_time()
        found = self.function(*arguments, **options)
        self.seconds.append(time.process_time() - start)
        return found


def row(name: str, config: ModelConfig, tests: ViewConfig, corpus: Corpus, rounds: int) -> list[str]:
    network, input_spec = config.build(CLASSES)
    network.eval()
    spec = ViewSpec(config.clip.sampler, views.grid(config.clip.centre, tests))
    measured = []
    for _ in range(rounds):
        decoded, decodes, seconds = decode(spec, corpus)
        distinct = list(dict.fromkeys(decoded.crops[0]))
        crop, normal, forward = Stopwatch(ClipCrop.pixels), Stopwatch(normalize), Stopwatch(network)
        for view in distinct:
            clip = normal(crop(view, decoded.frames)[None], input_spec)
        forward(clip)
        measured.append([*seconds, sum(crop.seconds), sum(normal.seconds), len(distinct) * forward.seconds[0]])
    median = [statistics.median(part) for part in zip(*measured, strict=True)]
    shares = [f"{part / sum(median):.1%}" for part in median]
    return [name, f"{len(distinct)}", f"{decodes / len(frames_of(spec, corpus)):.2f}", f"{sum(median):.2f}", *shares]


def decode(spec: ViewSpec, corpus: Corpus) -> tuple[DecodedVideo, int, tuple[float, float]]:
    """The decoded video, the number of JPEGs decoded for it, and the seconds of decoding and of resizing."""
    whole = Stopwatch(dataset.decode_video)
    with (
        mock.patch.object(jpeg, "decode", Stopwatch(jpeg.decode)) as one,
        mock.patch.object(dataset, "read_frames", Stopwatch(frame_source.read_frames)) as read,
    ):
        decoded = whole(corpus.store, "0.mp4", [spec])
    return decoded, len(one.seconds), (read.seconds[0], whole.seconds[0] - read.seconds[0])


def frames_of(spec: ViewSpec, corpus: Corpus) -> set[int]:
    """The frames that some view shows."""
    count = corpus.store.frames("0.mp4")
    return {
        int(index)
        for clips in {view.clips for view in spec.grid.views}
        for clip in sampling.testing_clips(spec.sampler, count, clips)
        for index in clip
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="a second of video, small views, one round")
    smoke = parser.parse_args().smoke
    tests, seconds, rounds = (SMOKE, 1, 1) if smoke else (MODELS, 3, 3)
    torch.set_num_threads(1)
    keep_freed_memory()
    configs = model_table.configs(CONF, tests)
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        corpus = draw(Path(folder), 1, seconds)
        rows = [row(name, configs[name], tests[name], corpus, rounds) for name in tests]
    print(*text_table(["", "distinct views", "decodes of a frame", "CPU s a video", *PARTS], rows), sep="\n")


if __name__ == "__main__":
    main()
