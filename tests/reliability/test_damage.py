"""Damage at rest: a flipped bit in any file that a stage reads is noticed, named, and never makes a wrong result."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.class_stats import ClassStatistics
from pipeline.cli.fused_members import Fusion
from pipeline.clips import packing
from pipeline.clips.frame_store import FrameStore
from pipeline.core import broken_videos, checksums, files, frame_index, groups
from pipeline.core.errors import UserError
from pipeline.core.manifest import Manifest
from pipeline.features import Features
from pipeline.folds import partition
from pipeline.predictions.table import PredictionTable
from pipeline.predictions.view_scores import ViewScores
from pipeline.pretrained import imagenet, weight_file
from pipeline.report.inputs import existing
from pipeline.report.provenance import _recipe
from pipeline.runtime.checkpoint import Checkpoint
from tests.support import damage, finished, inference
from tests.support.stage_process import MODEL, outs, run

Reader = Callable[[Path], object]


def every_frame(root: Path) -> list[bytes]:
    store = FrameStore(root)
    store.content_key()
    return [bytes(jpeg) for video in store.videos for jpeg in store.read(video, range(store.frames(video)))]


def packed(frames: Path) -> int:
    (frames.parent / "work").mkdir(exist_ok=True)
    return packing.pack(frames, frames.parent / "packed", frames.parent / "work")


READERS: dict[str, Reader] = {
    "manifest.tsv": lambda data: Manifest.read(data / "manifest.tsv", data / "classes.txt"),
    "classes.txt": lambda data: Manifest.read(data / "manifest.tsv", data / "classes.txt"),
    "groups.tsv": lambda data: groups.read(data / "groups.tsv"),
    "broken.tsv": lambda data: broken_videos.read_broken(data / "broken.tsv"),
    "frames/index.tsv": lambda data: frame_index.read(data / "frames/index.tsv"),
    "frames/a.tar": lambda data: packed(data / "frames"),
    **{f"lmdb/{name}": lambda data: every_frame(data / "lmdb") for name in ("index.tsv", "shards.tsv", "pages.tsv")},
    **{f"stats/{name}": lambda data: ClassStatistics.read(data / "stats") for name in ("classes.csv", "summary.json")},
    "stats/cooccurrence.csv": lambda data: existing(data / "stats/cooccurrence.csv"),
    "models/net/model.safetensors": lambda data: Checkpoint.read(data / "models/net"),
    "models/net/recipe.json": lambda data: _recipe(data / "models/net/recipe.json"),
    "predictions/tsn/val.parquet": lambda data: PredictionTable.read(data / "predictions/tsn/val.parquet"),
    "predictions/tsn/test.views.npy": lambda data: ViewScores.read(data / "predictions/tsn", "test"),
    "predictions/tsn/test.views.json": lambda data: ViewScores.read(data / "predictions/tsn", "test"),
    "ensemble/weights.json": lambda data: Fusion.read(data / "ensemble"),
    "ensemble/val.parquet": lambda data: Fusion.read(data / "ensemble"),
    "ensemble/verdicts.json": lambda data: existing(data / "ensemble/verdicts.json"),
    **{f"features/probe/{name}": lambda data: Features.read(data / "features/probe")
       for name in ("features.npy", "videos.txt", "groups.tsv", "about.json")},
    "weights/net.safetensors": lambda data: weight_file.read(data / "weights/net.safetensors"),
    "folds/folds.tsv": lambda data: partition.read(data / "folds"),
}  # fmt: skip
"""File below data/ -> the reader of it that every stage and command uses."""


@pytest.fixture
def data(tmp_path: Path, shards) -> Path:
    """Outs of all stages, as small as can be, each with the list that its stage writes."""
    folder = tmp_path / "data"
    finished.run(folder)
    manifest = Manifest.read(folder / "manifest.tsv", folder / "classes.txt")
    groups.write(folder / "groups.tsv", {video: video[:5] for video in manifest.videos})
    checksums.write(folder / "groups.SHA256SUMS", [folder / "groups.tsv"])
    shutil.rmtree(folder / "frames")
    rng = np.random.default_rng(0)
    shards(
        "data/frames", a={"x.mp4": [inference.tiny.simplejpeg.encode_jpeg(rng.integers(0, 255, (24, 24, 3), np.uint8))]}
    )
    checksums.seal(folder / "frames")
    shutil.rmtree(folder / "lmdb")
    shutil.copytree(_packed_once(folder), folder / "lmdb")
    inference.write_model(folder / "models/net", 0)
    (folder / "features/probe").mkdir(parents=True)
    np.save(folder / "features/probe/features.npy", np.ones((2, 3), np.float16))
    (folder / "features/probe/videos.txt").write_text("a\nb\n")
    groups.write(folder / "features/probe/groups.tsv", {"a": "one"})
    files.write_json(folder / "features/probe/about.json", {"arch": "probe"})
    checksums.seal(folder / "features/probe")
    weights = weight_file.Weights({"conv.weight": torch.ones(3)}, "", wrappers=(), sha256="")
    weights.write(imagenet.file_of("net", folder / "weights"))
    checksums.seal(folder / "weights")
    (folder / "folds").mkdir()
    (folder / "folds/folds.tsv").write_text("video\tfold\na\t1\n")
    checksums.seal(folder / "folds")
    return folder


def _packed_once(folder: Path) -> Path:
    packed(folder / "frames")
    return (folder / "packed").rename(folder.parent / "once")


def test_every_kind_of_file_is_noticed_by_its_reader(data: Path):
    for name, read in READERS.items():
        path = data / name
        read(data)
        size = path.stat().st_size
        for offset in sorted({0, size // 3, size // 2, size - 1, *range(0, size, max(1, size // 20))}):
            damage.flip(path, offset, offset % 8)
            with pytest.raises(UserError, match=rf"{re.escape(path.name)} is damaged.*`pipeline doctor --deep`"):
                read(data)
            damage.flip(path, offset, offset % 8)
        read(data)


@pytest.mark.parametrize("step", [997, pytest.param(13, marks=pytest.mark.nightly)])
def test_a_flipped_bit_anywhere_in_an_lmdb_file_is_noticed_or_changes_no_frame(data: Path, step: int):
    path = data / "lmdb/a.lmdb"
    good, noticed = every_frame(data / "lmdb"), 0
    path.write_bytes(path.read_bytes())  # a file of its own: readers are kept by inode
    for offset in range(0, path.stat().st_size, step):
        copy = shutil.copytree(data / "lmdb", data / f"copy{offset}")
        damage.flip(copy / "a.lmdb", offset, offset % 8)
        said = ""
        try:
            assert every_frame(copy) == good, offset
        except UserError as error:
            noticed, said = noticed + 1, str(error)
        assert re.fullmatch(r"|.*a\.lmdb is damaged.*`pipeline doctor --deep`.*", said)
        shutil.rmtree(copy)
    assert noticed > path.stat().st_size / step / 4


DAMAGED = {
    "pack": "data/frames/shard-00000.tar",
    "train": "data/lmdb/shard-00000.lmdb",
    "infer": f"data/models/{MODEL}/model.safetensors",
    "ensemble": f"data/predictions/{MODEL}/val.views.npy",
    "report": "data/manifest.tsv",
}
"""Stage -> what it reads, and what has a bit flipped: in its middle, or in each JPEG, as a training reads not all."""


@pytest.mark.slow
@pytest.mark.parametrize("stage", DAMAGED)
def test_a_stage_that_reads_damage_names_the_file_and_writes_nothing(without, stage: str):
    folder = without(stage)
    path = folder / DAMAGED[stage]
    jpegs = [match.end() for match in re.finditer(rb"\xff\xd8\xff", path.read_bytes())] if stage == "train" else []
    for offset in jpegs or [path.stat().st_size // 2]:
        damage.flip(path, offset)
    ended = run(stage, folder)
    assert ended.status == 1, ended.said
    assert f"{DAMAGED[stage]} is damaged" in ended.said, ended.said
    assert "`pipeline doctor --deep`" in ended.said
    assert "Traceback" not in ended.said
    assert not any((folder / out).is_file() for out in outs(stage))
