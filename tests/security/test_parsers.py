"""Property: a parser of foreign input gives what it found or says what is wrong with it, whatever the bytes are."""

import contextlib
import io
import pickle
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
import safetensors.torch
import simplejpeg
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.class_stats import CLASSES, SUMMARY, ClassStatistics
from pipeline.clips import frame_source, frame_store, lmdb_pages, tar_shards
from pipeline.clips.frame_store import FrameStore
from pipeline.core import broken_videos, checksums, frame_index, groups, params
from pipeline.core.errors import UserError
from pipeline.core.manifest import DatasetConfig, Manifest
from pipeline.datasets import folder, lists
from pipeline.ensemble import submission
from pipeline.features import Features
from pipeline.predictions import import_scores, result_pickle
from pipeline.predictions.table import PredictionTable
from pipeline.predictions.view_scores import ViewScores
from pipeline.pretrained import safe_pickle, weight_file
from pipeline.runtime.checkpoint import Checkpoint
from pipeline.runtime.chunk_cache import ChunkCache
from tests.support import inference

TENSORS = {"conv.weight": torch.ones(2, 3), "conv.bias": torch.zeros(3)}


class Parser(NamedTuple):
    """A reader of a file, and a good one to begin with."""

    name: str
    """Of the file in its folder."""
    read: Callable[[Path], object]
    good: Callable[[Path], object]
    """Writes a folder with a good file."""


def written(content: bytes | str) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content if isinstance(content, bytes) else content.encode())


def corpus(path: Path) -> DatasetConfig:
    places = dict(root=str(path.parent), annotations=str(path), after=str(path))
    made = dict(generated=(), classes=None, val_share=0.2, test_share=0.2, split_seed=0)
    return DatasetConfig(format="folder", **places, **made)


def scores(path: Path) -> object:
    return import_scores.read_scores([path], "video", [], None, set())


def table(path: Path) -> None:
    broken = np.array([False, True])
    made = PredictionTable(("a", "b"), broken, ("x", ""), ("x", "y"), np.full((2, 2), 0.5, np.float32), {"model": "m"})
    made.write(path)


def views(path: Path) -> None:
    grid = {"views": [{"clip": 0}], "protocols": {"clip": [0]}}
    ViewScores(np.zeros((2, 1, 3), np.float16), grid).write(path.parent, "val")


def statistics(path: Path) -> None:
    (path.parent / CLASSES).write_text("class,videos,prior\nx,2,0.5\ny,2,0.5\n")
    (path.parent / SUMMARY).write_text('{"train_videos": 4}')


def features(path: Path) -> None:
    np.save(path.parent / "features.npy", np.zeros((2, 3), np.float16))
    (path.parent / "videos.txt").write_text("a\nb\n")
    (path.parent / "about.json").write_text('{"arch": "probe"}')
    groups.write(path.parent / "groups.tsv", {"a": "g"})


def store(path: Path) -> None:
    jpeg = simplejpeg.encode_jpeg(np.zeros((16, 16, 3), np.uint8))
    frame_store.write_shard(path.parent / "a.lmdb", [("x.mp4", frame_store.encode([jpeg, jpeg], 16, 16))])
    lmdb_pages.write(path.parent)
    index = pd.DataFrame([("x.mp4", "a", 2, 16, 16)], columns=list(frame_index.PACKED_COLUMNS))
    frame_index.write_packed(path.parent / frame_index.FILE, index)


def frames(path: Path) -> object:
    return FrameStore(path.parent).read("x.mp4", [0, 1])


def tar(path: Path) -> None:
    with tarfile.open(path, "w") as archive:
        for name in ("x.mp4/000000.jpg", "x.mp4/000001.jpg"):
            entry = tarfile.TarInfo(name)
            entry.size = 700
            archive.addfile(entry, io.BytesIO(bytes(700)))


def manifest(path: Path) -> object:
    (path.parent / "classes.txt").write_text("x\ny\n")
    return Manifest.read(path, path.parent / "classes.txt")


def decoded(path: Path) -> object:
    class Source:
        holds = "frames"

        def read(self, video: str, indices: object) -> list[memoryview]:
            return [memoryview(path.read_bytes())]

        def damaged(self, video: str, why: object) -> UserError:
            return UserError(str(why))

    return frame_source.read_frames(Source(), "x", [0], None)


ROWS = "video\tsplit\tpath\tlabels\tfingerprint\na\ttrain\ta\tx;y\t1-x\nb\tval\tb\ty\t1-x\nc\ttest\tc\t\t1-x\n"
LEDGER = "video\tsplit\tpath\treason\twords\na\tval\ta\tempty\t\n"
YAML = "dataset:\n  root: a\n  val_share: 0.2\n"
LABELS = "path,labels,split\na,x,train\nb,x,val\n"
ARRAYS = {"blobs": {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": [1, "two", None]}}
PARSERS = {
    "safetensors": Parser("w", weight_file.read, written(safetensors.torch.save(TENSORS, {"pipeline": '{"a": 1}'}))),
    "torch zip": Parser("w", weight_file.read, lambda path: torch.save({"state_dict": TENSORS}, path)),
    "torch legacy": Parser(
        "w", weight_file.read, lambda path: torch.save(TENSORS, path, _use_new_zipfile_serialization=False)
    ),
    "pickle 2": Parser("w.pkl", safe_pickle.load_arrays, written(pickle.dumps(ARRAYS, 2))),
    "pickle 5": Parser("w.pkl", weight_file.read, written(pickle.dumps(ARRAYS, 5))),
    "result pickle": Parser("r.pkl", result_pickle.read, written(pickle.dumps([np.zeros(3), np.ones(3)]))),
    "checkpoint": Parser(
        "model.safetensors", lambda p: Checkpoint.read(p.parent), lambda p: inference.write_model(p.parent, 0)
    ),
    "views.npy": Parser("val.views.npy", lambda p: ViewScores.read(p.parent, "val").mean_of([0]), views),
    "views.json": Parser("val.views.json", lambda p: ViewScores.read(p.parent, "val").probabilities("clip"), views),
    "parquet": Parser("val.parquet", PredictionTable.read, table),
    "score cache": Parser(
        "000000.npy", lambda p: ChunkCache(p.parent, 2, (1, 3)).count(0),
        lambda p: ChunkCache(p.parent, 2, (1, 3)).write(0, np.zeros((2, 1, 3), np.float16)),
    ),
    "imported CSV": Parser("s.csv", scores, written("video,x,y\na,0.5,0.25\nb,1,0\n")),
    "imported Parquet": Parser(
        "s.parquet", scores, lambda p: pd.DataFrame({"video": ["a"], "x": [0.5]}).to_parquet(p)
    ),
    "features": Parser("features.npy", lambda p: Features.read(p.parent), features),
    "features' JSON": Parser("about.json", lambda p: Features.read(p.parent), features),
    "statistics": Parser(CLASSES, lambda p: ClassStatistics.read(p.parent), statistics),
    "summary": Parser(SUMMARY, lambda p: ClassStatistics.read(p.parent), statistics),
    "LMDB": Parser("a.lmdb", frames, store),
    "LMDB pages": Parser(lmdb_pages.FILE, frames, store),
    "index": Parser(frame_index.FILE, frames, store),
    "tar": Parser("a.tar", lambda p: list(tar_shards.videos(p, {"x.mp4": 2})), tar),
    "JPEG": Parser("f.jpg", decoded, written(simplejpeg.encode_jpeg(np.zeros((16, 16, 3), np.uint8)))),
    "manifest": Parser("manifest.tsv", manifest, written(ROWS)),
    "ledger": Parser("b.tsv", broken_videos.read_broken, written(LEDGER)),
    "checksums": Parser("SHA256SUMS", checksums.read, written(f"{'0' * 64}  a\n")),
    "params.yaml": Parser("params.yaml", lambda p: params.load("dataset", DatasetConfig, p), written(YAML)),
    "CSV of labels": Parser("labels.csv", lambda p: folder.read(corpus(p)), written(LABELS)),
    "list": Parser("list.txt", lambda p: lists.read(corpus(p)), written("a.mp4 run\nb.mp4 run\nc.mp4 run\n")),
    "submission": Parser(
        "s.csv", lambda p: submission.check(p, ["a"], ["x", "y"]), written("video,class_1,score_1\na,x,0.5\n")
    ),
}  # fmt: skip

EDITS = st.lists(
    st.one_of(
        st.tuples(st.just("set"), st.integers(0, 2**16), st.binary(min_size=1, max_size=8)),
        st.tuples(st.just("insert"), st.integers(0, 2**16), st.binary(min_size=1, max_size=40)),
        st.tuples(st.just("cut"), st.integers(0, 2**16), st.just(b"")),
        st.tuples(st.just("repeat"), st.integers(0, 2**16), st.just(b"")),
        st.tuples(st.just("insert"), st.integers(0, 2**16), st.sampled_from(
            [b"9" * 5000, b"1e999", b"NaN", b"-1", b"\xff" * 8, b"\0" * 64, b"\n", b"\t,;"]
        )),
    ),
    max_size=4,
)  # fmt: skip
"""What may be done to a good file; positions count from its start, modulo its length."""


def edited(content: bytes, edits: list[tuple[str, int, bytes]]) -> bytes:
    for what, at, piece in edits:
        place = at % (len(content) + 1)
        rest = {"set": place + len(piece), "insert": place, "cut": len(content), "repeat": place // 2}[what]
        content = content[:place] + piece + content[rest:]
    return content[: 1 << 21]


def answers(parser: Parser, path: Path) -> None:
    """It gives something, or a message for the user; any other error is a bug."""
    with contextlib.suppress(UserError):
        parser.read(path)


@pytest.fixture
def case(request, tmp_path: Path) -> tuple[Parser, Path, bytes]:
    parser = PARSERS[request.param]
    path = tmp_path / parser.name
    parser.good(path)
    for listed in tmp_path.glob("*SHA256SUMS"):
        if listed != path:
            listed.unlink()  # the parser is tried, not the list
    return parser, path, path.read_bytes()


OPTIONS = {"deadline": None, "suppress_health_check": list(HealthCheck), "derandomize": True, "database": None}
SOME = settings(max_examples=40, **OPTIONS)
MANY = settings(max_examples=3000, **OPTIONS | {"derandomize": False, "print_blob": True})


def fuzz(case: tuple[Parser, Path, bytes], how: settings) -> None:
    parser, path, good = case

    @how
    @given(edits=EDITS)
    def try_edited(edits: list[tuple[str, int, bytes]]) -> None:
        path.unlink()
        path.write_bytes(edited(good, edits))
        answers(parser, path)

    @how
    @given(content=st.binary(max_size=300))
    def try_anything(content: bytes) -> None:
        path.unlink()
        path.write_bytes(content)
        answers(parser, path)

    try_edited()
    try_anything()


@pytest.mark.parametrize("case", PARSERS, indirect=True)
def test_a_parser_answers_or_says_what_is_wrong(case: tuple[Parser, Path, bytes]):
    answers(case[0], case[1])
    fuzz(case, SOME)


@pytest.mark.parametrize(
    "case", ["views.json", "features' JSON", "summary", "safetensors", "checkpoint"], indirect=True
)
def test_json_that_is_nested_too_deep_is_an_answer_or_a_message(case: tuple[Parser, Path, bytes]):
    parser, path, _ = case
    deep = b"[" * 50_000
    if path.suffix == ".json" or parser.name in (SUMMARY, "about.json"):
        path.write_bytes(deep)
    else:  # the metadata of a file of safetensors
        safetensors.torch.save_file(TENSORS, path, {"pipeline": deep.decode()})
    answers(parser, path)


@pytest.mark.nightly
@pytest.mark.parametrize("case", PARSERS, indirect=True)
def test_a_parser_answers_or_says_what_is_wrong_for_long(case: tuple[Parser, Path, bytes]):
    fuzz(case, MANY)
