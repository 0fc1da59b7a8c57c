"""Extract, pack, load, train and infer again and again in one process, and say what it holds after each round.

    python tests/support/soak.py FOLDER CLIPS SECONDS ROUNDS

It ends when both are over. Prints a line of JSON a round: resident memory in MiB, open files, threads and children.
"""

import gc
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import stages  # noqa: F401 - first: it sets how PyTorch's threads wait
from pipeline.clips import packing
from pipeline.clips.dataset import TrainDataset
from pipeline.clips.loader import EpochSampler, loader
from pipeline.core import files, fingerprints, params
from pipeline.core.manifest import Manifest, VideoRecord
from pipeline.extraction.extract import extract_corpus
from pipeline.extraction.ffmpeg import ExtractConfig
from tests.support import corpus, inference, tiny

ROOT = Path(__file__).parents[2]


class Soak:
    """A round of work in `folder`, on the clips in `clips` and on a tiny packed corpus."""

    def __init__(self, folder: Path, clips: Path) -> None:
        self.folder, self.clips = folder, clips
        self.machine = tiny.machine(folder / "work", workers=2)
        self.models = folder / "models", tiny.corpus(folder / "lmdb", **inference.VIDEOS)
        inference.write_model(self.models[0] / "net", seed=0)
        names = [name for name in corpus.CLIPS if name != "sound_only.mp4"]
        splits = ("train", "val", "test")
        records = [
            VideoRecord(name, splits[number % 3], name, "a", fingerprints.of_file(clips / name))
            for number, name in enumerate(names)
        ]
        self.manifest = Manifest.from_records(records, ["a"])

    def round(self) -> None:
        self._extract()
        self._load()
        tiny.fit(self.folder, "trained", tiny.model(epochs=2))
        inference.infer(self.models, self.folder / "predictions")

    def _extract(self) -> None:
        """From nothing, as what is finished would not be made again."""
        files.remove(self.folder / "work")
        config = params.load("extract", ExtractConfig, ROOT / "params.yaml")
        frames = self.folder / "frames"
        extract_corpus(self.manifest, self.clips, frames, self.folder / "broken.tsv", config, self.machine)
        (self.folder / "work" / "pack").mkdir()
        packing.pack(frames, self.folder / "packed", self.folder / "work" / "pack")

    def _load(self) -> None:
        manifest, store, _ = self.models[1]
        config = tiny.model()
        clips = TrainDataset(manifest.split("train"), store, config.clip.sampler, config.train.augment, seed=0)
        batches = EpochSampler(len(clips), 2, seed=0)
        for _ in loader(clips, workers=2, pin=False, batch_sampler=batches):
            pass


def held() -> dict[str, float]:
    gc.collect()  # what waits for it, such as the pipes of a loader that has ended, is not held
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    children = subprocess.run(["pgrep", "-P", str(os.getpid())], capture_output=True, text=True, check=False)
    return {
        "memory": pages * os.sysconf("SC_PAGE_SIZE") / 2**20,
        "files": len(os.listdir("/proc/self/fd")),  # noqa: PTH208 - with the one that lists them, each time
        "threads": threading.active_count(),
        "children": len(children.stdout.split()),
    }


if __name__ == "__main__":
    from dvclive import Live

    Live.post_data_to_studio = lambda _: None  # it leaves a thread with all data for each training; a stage trains once
    soak, end = Soak(Path(sys.argv[1]), Path(sys.argv[2])), time.monotonic() + float(sys.argv[3])
    os.chdir(sys.argv[1])  # no project of DVC, which DVCLive opens with each training and never closes: one a process
    done = 0
    while time.monotonic() < end or done < int(sys.argv[4]):
        soak.round()
        done += 1
        print(json.dumps(held()), flush=True)
