"""A finished run, as small or as large as a test wants it: all outs of the stages before `report`, without training."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import simplejpeg

from pipeline import class_stats
from pipeline.clips import frame_store, lmdb_pages, views
from pipeline.clips.views import Scale, ViewConfig
from pipeline.core import checksums, doubles, files, frame_index, tsv
from pipeline.core.broken_videos import BrokenVideo, write_broken
from pipeline.core.manifest import Manifest, VideoRecord
from pipeline.core.task import MULTI_LABEL, SINGLE_LABEL, Task, noted
from pipeline.ensemble.config import EnsembleConfig
from pipeline.ensemble.run import run_ensemble
from pipeline.predictions.view_scores import ViewScores, protocol_table
from pipeline.report.inputs import InputPaths

FRAMES = 6
GREY = np.zeros((32, 40, 3), np.uint8)
SIGNAL = (0.6, 2.5, 1.2)
"""What a label adds to its logit in the first member, the second, the third and so on from the first again."""
SMALL = {"backbone": "resnet10t", "backbone_options": {"stem_width": 8, "channels": [16, 32, 64, 128]}}
NETWORKS = (
    ("tsn", SMALL),
    ("tin", {**SMALL, "frames": 8, "shift_div": 4}),
    ("slowfast", {"blocks": [1, 1, 1, 1], "block": "basic", "width": 16, "beta_inv": 4}),
)
"""Architecture and options of the first member, the second, the third and so on from the first again."""
SETTINGS = dict(
    protocol="multiscale", weights="uniform", mean="probability", given=None, subsets={}, starts=1, shrinkage=10.0,
    folds=2, resamples=20, seed=0, top=2,
)  # fmt: skip


def run(
    folder: Path,
    classes: Sequence[str] = ("blue", "green", "red"),
    members: Sequence[str] = ("tsn", "tin"),
    videos: int = 6,
    prefix: str = "",
    labelled: bool = True,
    single: bool = False,
    signal: float = 1.0,
    clips: int = 1,
    frame: np.ndarray = GREY,
    unknown: bool = False,
    overrides: Sequence[str] | None = (),
    blind: str = "",
    **ensemble: object,
) -> InputPaths:
    """Write the run; the last video of each split is broken, and the ids begin with `prefix`.

    The members are of unequal strength (`SIGNAL`), and the second is the best; no two views of one are alike.
    With `single` each video has one label, and the task is single_label; `signal` 0 leaves noise. A video has six
    views for each of its `clips`, and one more; all frames are like `frame`, uint8 (H, W, 3). With `unknown` nobody
    knows of every other video whether it shows one of the classes. The member `blind` cannot see every third video.
    """
    manifest, broken = _manifest(classes, videos, prefix, labelled, single, unknown)
    manifest.write(folder / "manifest.tsv", folder / "classes.txt")
    write_broken(folder / "broken.tsv", broken)
    nothing = np.full(len(manifest), -1)
    tsv.write(folder / "doubles.tsv", doubles.table(manifest, nothing, nothing < 0))
    _frames(folder, [v for v in manifest.videos if v not in {b.video for b in broken}], frame)
    train = manifest.split("train").without(b.video for b in broken)
    counted = class_stats.write(folder / "stats", train, len(manifest.split("train")))
    lost, grid = {b.video for b in broken}, views.grid(Scale(32, 32), ViewConfig(clips, (32, 40), 32)).describe()
    for number, member in enumerate(members):
        of_member = folder / "predictions" / member
        _predictions(of_member, manifest, lost, number, counted.prior, single, signal, grid, member == blind)
        _model(folder / "models" / member, number)
    config = EnsembleConfig(members=tuple(members), **(SETTINGS | ensemble))
    results = run_ensemble(config, manifest, counted, folder / "predictions", folder / "ensemble")
    files.write_json(folder / "metrics.json", results.flat())
    files.write_json(folder / "overrides.json", overrides)
    _seal(folder)
    names = ("manifest.tsv", "classes.txt", "frames/index.tsv", "broken.tsv", "doubles.tsv", "lmdb", "stats", "models")
    return InputPaths(
        *(folder / name for name in (*names, "predictions", "ensemble", "metrics.json", "overrides.json"))
    )


def _seal(folder: Path) -> None:
    """Write the checksums of what the stages before `ensemble` made, as they do."""
    checksums.write(folder / "manifest.SHA256SUMS", [folder / "manifest.tsv", folder / "classes.txt"])
    checksums.write(folder / "broken.SHA256SUMS", [folder / "broken.tsv"])
    for out in (folder / "frames", folder / "lmdb", *folder.glob("models/*"), *folder.glob("predictions/*")):
        checksums.seal(out)


def _manifest(
    classes: Sequence[str], videos: int, prefix: str, labelled: bool, single: bool, unknown: bool
) -> tuple[Manifest, list[BrokenVideo]]:
    rng = np.random.default_rng(0)
    records, broken = [], []
    for split in ("train", "val", "test"):
        count = max(videos, 2 * len(classes)) if split == "train" else videos
        for number in range(count):
            names = {classes[number % len(classes)], classes[int(rng.integers(len(classes)))]}
            names = {classes[number % len(classes)]} if single else names
            hidden = [f"?{name}" for name in classes if unknown and number % 2 and name not in names][:1]
            labels = ";".join([*sorted(names), *hidden]) if labelled or split != "test" else ""
            records.append(VideoRecord(f"{prefix}{split}{number}", split, f"{split}{number}.mp4", labels, "1-x"))
        last = records[-1]
        broken.append(BrokenVideo(last.video, split, last.path, "truncated", "moov <atom> not found"))
    return Manifest.from_records(records, classes), broken


def _frames(folder: Path, seen: list[str], frame: np.ndarray) -> None:
    """Six frames a video in one shard, each brighter than the one before, and the index."""
    kept = sorted(seen, key=str.encode)
    jpegs = [simplejpeg.encode_jpeg(frame + np.uint8(40 * n)) for n in range(FRAMES)]
    height, width, _ = frame.shape
    (folder / "lmdb").mkdir(parents=True)
    encoded = frame_store.encode(jpegs, width, height)
    frame_store.write_shard(folder / "lmdb" / "a.lmdb", [(video, encoded) for video in kept])
    lmdb_pages.write(folder / "lmdb")
    rows = [
        (video, "a", FRAMES, width, height, FRAMES + n % 2, FRAMES, int(n % 3 == 0), "") for n, video in enumerate(kept)
    ]
    index = pd.DataFrame(rows, columns=list(frame_index.COLUMNS))
    (folder / "frames").mkdir()
    frame_index.write(folder / "frames" / frame_index.FILE, index)
    frame_index.write_packed(folder / "lmdb" / frame_index.FILE, index)


def _predictions(
    folder: Path, manifest: Manifest, broken: set[str], number: int, prior: np.ndarray, single: bool, signal: float,
    grid: Mapping[str, Any], blind: bool,
) -> None:  # fmt: skip
    rng = np.random.default_rng(number)
    task: Task = SINGLE_LABEL if single else MULTI_LABEL
    folder.mkdir(parents=True)
    for name in ("val", "test"):
        part = manifest.split(name)
        lost = np.array([video in broken for video in part.videos])
        targets = part.targets()[:, None].astype(np.float64)
        noise = rng.normal(size=(len(part), 1 + len(grid["views"]), len(part.classes)))
        logits = noise[:, :1] + noise[:, 1:] + signal * SIGNAL[number % len(SIGNAL)] * targets - 1
        unseen = np.array([blind and row % 3 == 0 for row in range(len(part))]) & ~lost
        logits[lost | unseen] = np.log(prior / (1.001 - prior))
        scores = ViewScores(logits.astype(np.float16), grid, task)
        meta = {"checkpoint": f"{number % 10}" * 64, **noted(task)}
        table = protocol_table(part, lost, scores, "multiscale", meta, unseen)
        table.write(folder / f"{name}.parquet")
        scores.write(folder, name)


def _model(folder: Path, number: int) -> None:
    """What the page reads of a training: the curves and the recipe, as training.py writes them, of five videos."""
    curves = folder / "curves" / "plots" / "metrics"
    figures = {"loss": (4, 3, 1), "loss_present": (1.5, 1, 0.75), "loss_absent": (2.5, 2, 0.25), "lr": (0.2, 0.1, 0)}
    figures |= {"gradient_norm": (9, 5, 7), "train/mAP": (45, 70, 95), "val/mAP": (40, 60, 55)}
    for name, values in figures.items():
        (curves / name).parent.mkdir(parents=True, exist_ok=True)
        rows = "".join(f"{step}\t{float(value)}\n" for step, value in enumerate(values, start=1))
        (curves / f"{name}.tsv").write_text(f"step\t{Path(name).name}\n{rows}")
    machine = dict(device="cuda", devices=8, threads=2, precision="bf16", tf32=True, clips_per_device=None)
    machines = [{**machine, "devices": 1 + number}, {**machine, "device": "cpu", "devices": 1}]
    optim = {"lr": 0.01 * (1 + number), "weight_decay": 1e-4, "name": "sgd"}
    arch, options = NETWORKS[number % 3]
    recipe = {
        "arch": arch,
        "options": options,
        "clip": {"side": 40, "crop": 32, "sampler": {"kind": "segments", "frames": 8}},
        "train": {
            "epochs": 3,
            "batch": 16 + number,
            "seed": number,
            "loss": {"name": "bce"},
            "optim": optim,
            "augment": {"crop": 32},
        },
        "data": {"frames": "f" * 64, "labels": "1" * 32},
        "versions": {"torch": "2.0"},
        "machines": machines[: 1 + number % 2],
        "train_videos": 5,
        "result": {"epoch": 1, "val_mAP": 60.0},
    }
    (folder / "recipe.json").write_text(json.dumps(recipe))
