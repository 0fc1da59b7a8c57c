"""What the tests of inference share: two small models, runs of inference on them, and ways to end a run early."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from pipeline.class_stats import ClassStatistics
from pipeline.clips import dataset
from pipeline.clips.frame_store import FrameStore
from pipeline.clips.views import ViewConfig
from pipeline.core.manifest import Manifest
from pipeline.inference import run as inference_run
from pipeline.inference.predictor import Predictor
from pipeline.runtime import distributed
from pipeline.runtime.checkpoint import Checkpoint
from pipeline.training.config import ModelConfig
from tests.support import tiny

VIEWS = ViewConfig(clips=2, sides=(32, 36), crop=32)
BOTH = {"net": VIEWS, "other": ViewConfig(clips=3, sides=(34,), crop=None)}
VIDEOS = {"val": 22, "test": 18}
"""One of each is broken: 38 have frames, which are two chunks of 16 and one of 6."""
FILES = [f"{split}.{kind}" for split in VIDEOS for kind in ("parquet", "views.npy", "views.json")]
SCRIPT = Path(__file__).parent / "infer_tiny.py"

Corpus = tuple[Manifest, FrameStore, ClassStatistics]
Models = tuple[Path, Corpus]
"""The folder of the models `net` and `other`, and their corpus."""


def write_model(folder: Path, seed: int, config: ModelConfig | None = None) -> None:
    """Write a checkpoint of random weights whose logits differ from video to video, as a trained model's do."""
    config = config or tiny.model()
    network, spec = config.build(len(tiny.COLOURS))
    draw(network, seed)
    recipe = {"arch": config.arch, "options": config.options}
    recipe["clip"] = {"sampler": vars(config.clip.sampler), "side": config.clip.side, "crop": config.clip.crop}
    Checkpoint(network.state_dict(), recipe, tuple(tiny.COLOURS), spec).write(folder)


def draw(network: nn.Module, seed: int) -> None:
    """Give a network random weights of a trained one's size."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in network.parameters():
        mean, deviation = (0.0, parameter[0].numel() ** -0.5) if parameter.ndim > 1 else (1.0, 0.5)
        nn.init.normal_(parameter, mean, deviation, generator)


def infer(models: Models, to: Path, name: str = "net", tests=None, corpus=None, share=None, **machine) -> Path:
    """Run the stage's function with a scratch folder beside `to`; the folder of predictions."""
    folder, (manifest, store, statistics) = models
    machine = tiny.machine(to.parent / "work", **machine)
    tests = tests or {name: BOTH[name]}
    data = corpus or manifest, store, statistics
    inference_run.run_inference(name, tests, *data, folder / name, to / name, machine, share)
    return to / name


def assert_same_files(one: Path, other: Path) -> None:
    for file in FILES:
        assert (one / file).read_bytes() == (other / file).read_bytes(), file


def load_predictor(models: Models, config: ViewConfig = VIEWS, name: str = "net", **machine) -> Predictor:
    machine = tiny.machine(Path("unused"), **machine)
    return Predictor(models[0] / name, config, distributed.launch(machine), machine)


def scores_of(chosen: Predictor, store: FrameStore, video: str) -> np.ndarray:
    decoded = dataset.decode_video(store, video, [chosen.view_spec])
    return chosen.score([(decoded.frames, decoded.crops[0])]).read()[0]


class Killed(BaseException):
    """Stands for SIGKILL: nothing of ours runs after it."""


def kill_after(monkeypatch, videos: int, how: BaseException | int) -> None:
    """Let so many videos be scored; then raise an error, or send this process a signal and score on."""
    original, scored = Predictor.score, []

    def score(self, *arguments):
        if len(scored) == videos:
            if not isinstance(how, int):
                raise how
            os.kill(os.getpid(), how)
        scored.append(1)
        return original(self, *arguments)

    monkeypatch.setattr(Predictor, "score", score)


def scored_models(monkeypatch) -> list[str]:
    """The model of every video that is scored from now on."""
    scored = []
    original = Predictor.score
    monkeypatch.setattr(
        Predictor, "score", lambda self, videos: scored.extend([self.name] * len(videos)) or original(self, videos)
    )
    return scored


def cache_of(models: Models, to: Path, monkeypatch, name: str, **machine) -> Path:
    """The folder of the score cache of a run of `infer`, which is killed before it scores anything."""
    with monkeypatch.context() as patch:
        kill_after(patch, 0, Killed())
        with pytest.raises(Killed):
            infer(models, to, name, **machine)
    (folder,) = (to.parent / "work/infer").glob(f"{name}-*")
    return folder


def torchrun(processes: int, *arguments: str) -> list[str]:
    """The command that starts a script in several processes, by torchrun."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["--nproc-per-node", str(processes), "--master-addr", "127.0.0.1", "--master-port", str(port)]
    return [sys.executable, "-m", "torch.distributed.run", *options, *arguments]


def two_processes(folder: str | Path, out: Path, *names: str, **machine) -> subprocess.CompletedProcess:
    """Score the models `names` in two processes; {rank} in a path is the number of the process."""
    command = [sys.executable, str(SCRIPT), str(folder), str(out), json.dumps({"devices": 2} | machine), *names]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)
