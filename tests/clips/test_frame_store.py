"""Packed frames: the layout byte by byte, the same bytes every time, any process may read, and damage is said."""

import binascii
import dataclasses
import multiprocessing
import os
import shutil
import struct
import sys
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path

import lmdb
import numpy as np
import pandas as pd
import pytest
import simplejpeg
from torch.utils.data import DataLoader, Dataset

from pipeline.clips import frame_store, packing
from pipeline.clips.frame_store import FrameStore
from pipeline.core import checksums, files, frame_index, scratch, tsv
from pipeline.core.errors import UserError
from tests.support.damage import replace_shard

Shards = Callable[..., Path]
Packed = Callable[[dict[str, list[bytes]]], FrameStore]


def jpeg(value: int, width: int = 24, height: int = 16) -> bytes:
    return simplejpeg.encode_jpeg(np.full((height, width, 3), value, np.uint8))


def video(*values: int) -> list[bytes]:
    """One grey frame a value."""
    return [jpeg(value) for value in values]


def noise(frames: int, seed: int) -> list[bytes]:
    """Frames of many bytes, each of another length."""
    rng = np.random.default_rng(seed)
    return [simplejpeg.encode_jpeg(rng.integers(256, size=(32, 32, 3), dtype=np.uint8)) for _ in range(frames)]


def pack(frames: Path, name: str = "lmdb", workers: int = 1) -> Path:
    """Pack with an empty scratch folder of its own."""
    scratch = frames.parent / f"scratch of {name}"
    scratch.mkdir(exist_ok=True)
    packing.pack(frames, frames.parent / name, scratch, workers)
    return frames.parent / name


def values(path: Path) -> dict[str, bytes]:
    """What an LMDB file holds, read without our code."""
    with lmdb.open(str(path), subdir=False, readonly=True, lock=False) as environment, environment.begin() as reader:
        return {key.decode(): bytes(value) for key, value in reader.cursor()}


def in_tar(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar}


def test_a_value_is_a_header_offsets_checksums_and_jpegs(shards: Shards):
    first, second, third = b"first JPEG", b"2nd", b"third"

    value = frame_store.encode([first, second, third], width=54, height=32)

    # 3 numbers in front, 4 offsets and 3 checksums make 40 bytes, where the first JPEG begins
    sums = struct.pack("<3I", 0x5097EEAC, 0x690F0B84, 0x24322064)  # as gzip says
    assert value == struct.pack("<3I4I", 3, 54, 32, 40, 50, 53, 58) + sums + first + second + third


def test_a_shard_holds_one_value_a_video_under_its_id(shards: Shards):
    frames = shards(a={"grün/1.mp4": video(10, 20)}, b={"2.mp4": video(30)})

    out = pack(frames)

    assert sorted(path.name for path in out.iterdir()) == [
        *("SHA256SUMS", "a.lmdb", "b.lmdb", "index.tsv", "pages.tsv", "shards.tsv")
    ]
    one, two = video(10, 20)
    start = 12 + 4 * 3 + 4 * 2
    offsets = start, start + len(one), start + len(one) + len(two)
    header = struct.pack("<3I3I2I", 2, 24, 16, *offsets, binascii.crc32(one), binascii.crc32(two))
    assert values(out / "a.lmdb") == {"grün/1.mp4": header + one + two}
    assert list(values(out / "b.lmdb")) == ["2.mp4"]


def test_frames_are_the_jpegs_of_the_tar(shards: Shards):
    frames = shards(a={"1.mp4": noise(5, 1), "2.mp4": noise(3, 2)}, b={"3.mp4": noise(4, 3)})
    written = in_tar(frames / "a.tar") | in_tar(frames / "b.tar")

    read = FrameStore(pack(frames))

    assert sorted(read.videos) == ["1.mp4", "2.mp4", "3.mp4"]
    assert [read.frames(name) for name in ("1.mp4", "2.mp4", "3.mp4")] == [5, 3, 4]
    for name in read.videos:
        for index in range(read.frames(name)):
            assert bytes(read.read(name, [index])[0]) == written[f"{name}/{index:06d}.jpg"]


@pytest.mark.parametrize("indices", [[2, 0, 1], [1, 1, 1], [2, 2, 0, 2], [], np.array([2, 0])])
def test_frames_come_in_the_order_asked_for_as_often_as_asked_for(packed: Packed, indices: Sequence[int]):
    jpegs = noise(3, 0)

    read = packed({"1.mp4": jpegs}).read("1.mp4", indices)
    assert [bytes(frame) for frame in read] == [jpegs[index] for index in indices]


def test_no_byte_is_copied(packed: Packed):
    read = packed({"1.mp4": noise(3, 0)})

    first, again = (np.frombuffer(read.read("1.mp4", [1])[0], np.uint8) for _ in range(2))
    assert np.shares_memory(first, again)
    assert not first.flags.writeable


@pytest.mark.parametrize("indices", [[3], [-1], [0, 3], [0, -1, 1], [10**9]])
def test_a_frame_that_the_video_does_not_have_is_an_index_error(packed: Packed, indices: list[int]):
    read = packed({"1.mp4": noise(3, 0), "2.mp4": noise(3, 0)})

    with pytest.raises(IndexError, match=r"1\.mp4 has frames 0\.\.2"):
        read.read("1.mp4", indices)


def test_an_unknown_video_is_refused_with_the_remedy(packed: Packed):
    read = packed({"1.mp4": noise(1, 0)})

    assert "1.mp4" in read
    assert "2.mp4" not in read
    for ask in (read.frames, lambda name: read.read(name, [0])):
        with pytest.raises(UserError, match=r"no video '2\.mp4'.*dvc repro pack.*broken\.tsv"):
            ask("2.mp4")


def test_an_id_of_the_longest_length_is_a_key(packed: Packed):
    name = "ü" * 250  # 500 bytes
    jpegs = noise(2, 0)

    assert [bytes(frame) for frame in packed({name: jpegs}).read(name, [0, 1])] == jpegs


def many(count: int) -> dict[str, list[bytes]]:
    """More videos than a transaction takes."""
    return {f"{number:03d}.mp4": noise(1 + number % 3, number) for number in range(count)}


def test_packing_twice_gives_the_same_bytes(shards: Shards):
    frames = shards(a=many(150), b={"x.mp4": noise(2, 0)})

    one, two = pack(frames, "one"), pack(frames, "two")

    assert {path.name for path in one.iterdir()} == {path.name for path in two.iterdir()}
    for path in one.iterdir():
        assert path.read_bytes() == (two / path.name).read_bytes()


def test_a_map_that_is_too_small_is_doubled(shards: Shards, monkeypatch: pytest.MonkeyPatch):
    videos = many(150)
    frames = shards(a=videos)
    expected = values(pack(frames, "large") / "a.lmdb")

    monkeypatch.setattr(frame_store, "FIRST_MAP", 1 << 15)
    one, two = pack(frames, "one"), pack(frames, "two")

    assert sum(map(len, expected.values())) > 4 * (1 << 15)  # or nothing had to be doubled
    assert values(one / "a.lmdb") == expected
    assert (one / "a.lmdb").read_bytes() == (two / "a.lmdb").read_bytes()
    read = FrameStore(one)
    for name, jpegs in videos.items():
        assert [bytes(frame) for frame in read.read(name, range(len(jpegs)))] == jpegs


def grown_by_refusals(path: Path, pairs: list[tuple[str, bytes]]) -> list[int]:
    """Write a file whose map is doubled whenever LMDB refuses a batch; the size of the map after each batch."""
    sizes = []
    with lmdb.open(str(path), subdir=False, map_size=frame_store.FIRST_MAP, lock=False, sync=False) as environment:
        for start in range(0, len(pairs), frame_store.BATCH):
            while True:
                try:
                    with environment.begin(write=True) as transaction:
                        for name, value in pairs[start : start + frame_store.BATCH]:
                            transaction.put(name.encode(), value)
                    break
                except lmdb.MapFullError:
                    environment.set_mapsize(environment.info()["map_size"] * 2)
            sizes.append(environment.info()["map_size"])
    return sizes


@pytest.mark.parametrize("first", [1 << 14, 1 << 16, 1 << 20])
@pytest.mark.parametrize("count", [1, 20, 64])  # a batch: later ones have what a refused one has left in unused bytes
def test_a_map_that_is_doubled_beforehand_has_the_bytes_of_one_that_was_refused(tmp_path, monkeypatch, first, count):
    monkeypatch.setattr(frame_store, "FIRST_MAP", first)
    rng = np.random.default_rng(count)
    pairs = [(f"{number:03d}.mp4", rng.bytes(int(rng.integers(3_000, 60_000)))) for number in range(count)]
    grown_by_refusals(tmp_path / "refused", pairs)

    frame_store.write_shard(tmp_path / "foreseen", pairs)

    assert (tmp_path / "foreseen").read_bytes() == (tmp_path / "refused").read_bytes()


def test_no_batch_is_written_twice(tmp_path, monkeypatch):
    pairs = [(f"{number:03d}.mp4", bytes(300_000)) for number in range(150)]
    assert grown_by_refusals(tmp_path / "refused", pairs) == [1 << 25, 1 << 26, 1 << 26]  # from 4 MiB: 4 refusals
    waited = []
    monkeypatch.setattr(frame_store, "_double", lambda environment, double=frame_store._double: (
        waited.append(sys.exception()), double(environment)))  # fmt: skip

    frame_store.write_shard(tmp_path / "foreseen", pairs)

    assert waited == [None] * 4


@pytest.mark.parametrize("workers", [2, 5])
def test_any_number_of_workers_gives_the_same_bytes(shards: Shards, workers: int):
    """Tars without a video are all the same, and so one piece."""
    frames = shards(a=many(70), b={"x.mp4": noise(2, 0)}, c={}, d={}, e={"y.mp4": noise(9, 1)})
    one, several = pack(frames, "one"), pack(frames, "several", workers)

    assert len(list(one.glob("*.lmdb"))) == 5
    assert {path.name for path in one.iterdir()} == {path.name for path in several.iterdir()}
    for path in one.iterdir():
        assert path.read_bytes() == (several / path.name).read_bytes()


def test_a_damaged_tar_stops_all_workers_and_what_is_finished_is_kept(shards: Shards):
    frames = shards(a={"1.mp4": noise(2, 1)}, b={"2.mp4": noise(2, 2)}, c={"3.mp4": noise(2, 3)})
    checksums.seal(frames)
    good = (frames / "b.tar").read_bytes()
    (frames / "b.tar").write_bytes(good[:-1] + b"x")

    with pytest.raises(UserError, match=r"b\.tar is damaged.*pipeline doctor --deep"):
        pack(frames, workers=2)

    assert not (frames.parent / "lmdb").exists()
    assert not list((frames.parent / "scratch of lmdb").glob(".*"))
    (frames / "b.tar").write_bytes(good)
    assert len(FrameStore(pack(frames, workers=2)).videos) == 3


def test_a_tar_is_read_for_its_hash_once(shards: Shards, monkeypatch: pytest.MonkeyPatch):
    frames = shards(a={"1.mp4": noise(2, 1)}, b={"2.mp4": noise(2, 2)})
    (frames / "b.tar").rename(frames.parent / "b.tar")
    checksums.seal(frames)  # lists a alone
    (frames.parent / "b.tar").rename(frames / "b.tar")
    hashed, count = files.file_hash, []
    monkeypatch.setattr(files, "file_hash", lambda path: count.append(path.name) or hashed(path))

    pack(frames)

    assert sorted(name for name in count if name.endswith(".tar")) == ["a.tar", "b.tar"]


def test_a_video_larger_than_the_whole_map_fits(shards: Shards, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(frame_store, "FIRST_MAP", 1 << 14)
    jpegs = noise(40, 0)

    read = FrameStore(pack(shards(a={"1.mp4": jpegs})))
    assert [bytes(frame) for frame in read.read("1.mp4", range(40))] == jpegs


def test_a_value_too_large_for_its_offsets_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(frame_store, "_LARGEST", 1000)

    with pytest.raises(UserError, match=r"2 frames make 1,032 bytes.*Cut the video"):
        frame_store.encode([b"x" * 500] * 2, 24, 16)  # 32 bytes of header, offsets and checksums


def test_a_finished_shard_is_not_packed_again(shards: Shards):
    frames = shards(a={"1.mp4": noise(2, 1)}, b={"2.mp4": noise(2, 2)})
    before = {path.name: path.stat().st_ino for path in pack(frames).glob("*.lmdb")}

    shutil.rmtree(frames)
    after = {
        path.name: path.stat().st_ino
        for path in pack(shards(a={"1.mp4": noise(2, 1)}, b={"2.mp4": noise(2, 3)})).glob("*.lmdb")
    }

    assert after["a.lmdb"] == before["a.lmdb"]
    assert after["b.lmdb"] != before["b.lmdb"]
    assert len(list((frames.parent / "scratch of lmdb").glob("*.lmdb"))) == 2  # the old version is gone


@pytest.mark.parametrize("listed", [True, False])
def test_a_node_that_sees_another_tar_is_refused(shards: Shards, listed: bool):
    frames, other = shards(a={"1.mp4": video(1)}), shards("other", a={"1.mp4": video(2)})
    if listed:
        checksums.seal(frames)
        checksums.seal(other)
    (shard,) = packing.plan(frames, frame_index.read(frames / frame_index.FILE))
    packing._make_on_node(frames.parent, shard)
    with pytest.raises(UserError, match=r"a\.tar is another file on the node .*dvc repro pack"):
        packing._make_on_node(frames.parent, dataclasses.replace(shard, tar=other / "a.tar"))


def test_a_damaged_finished_shard_is_packed_again(shards: Shards):
    frames = shards(a={"1.mp4": noise(20, 1)})
    pack(frames)
    finished = next((frames.parent / "scratch of lmdb").glob("*.lmdb"))
    os.truncate(finished, finished.stat().st_size // 2)

    assert bytes(FrameStore(pack(frames)).read("1.mp4", [19])[0]) == noise(20, 1)[19]


def test_a_content_key_changes_with_the_frames_alone(shards: Shards):
    frames = shards(a={"1.mp4": noise(2, 1)})
    one, two = FrameStore(pack(frames, "one")), FrameStore(pack(frames, "two"))
    other = FrameStore(pack(shards("others", a={"1.mp4": noise(2, 2)}), "other"))

    assert one.content_key() == two.content_key()
    assert one.content_key() != other.content_key()


class FirstFrames(Dataset):
    """The first frame of each video, as bytes, and the process that read it."""

    def __init__(self, read: FrameStore) -> None:
        self.read = read

    def __len__(self) -> int:
        return len(self.read.videos)

    def __getitem__(self, position: int) -> tuple[bytes, int]:
        return bytes(self.read.read(self.read.videos[position], [0])[0]), os.getpid()


@pytest.mark.parametrize("method", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
def test_workers_read_what_the_parent_has_read_and_holds(packed: Packed, method: str):
    videos = {f"{number}.mp4": noise(2, number) for number in range(6)}
    dataset = FirstFrames(packed(videos))
    held = [dataset.read.read(name, [0])[0] for name in dataset.read.videos]  # keeps the parent's reader alive

    loaded = list(DataLoader(dataset, batch_size=None, num_workers=2, multiprocessing_context=method))

    assert [frame for frame, _ in loaded] == [jpegs[0] for jpegs in videos.values()] == [bytes(frame) for frame in held]
    assert len({process for _, process in loaded} - {os.getpid()}) == 2


def test_a_worker_reads_from_a_new_store_what_the_parent_holds(packed: Packed):
    jpegs = noise(2, 0)
    read = packed({"1.mp4": jpegs})
    held = read.read("1.mp4", [0])

    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert pool.apply(read_first, (read.root, "1.mp4")) == bytes(held[0])


def read_first(root: Path, name: str) -> bytes:
    return bytes(FrameStore(root).read(name, [0])[0])


def test_two_stores_of_one_process_read_the_same_files(packed: Packed):
    one = packed({"1.mp4": noise(2, 0)})
    two = FrameStore(one.root)

    assert one.read("1.mp4", [0]) == two.read("1.mp4", [0])


def test_what_was_read_stays_when_the_store_is_gone(packed: Packed):
    jpegs = noise(2, 0)
    frames = packed({"1.mp4": jpegs}).read("1.mp4", [0, 1])

    assert [bytes(frame) for frame in frames] == jpegs


def test_a_store_packed_anew_is_read_anew(shards: Shards):
    frames = shards(a={"1.mp4": video(10)})
    old = FrameStore(pack(frames))
    before = old.read("1.mp4", [0])[0]
    shutil.rmtree(frames)

    new = FrameStore(pack(shards(a={"1.mp4": video(200)})))
    assert bytes(new.read("1.mp4", [0])[0]) == jpeg(200)
    assert bytes(before) == jpeg(10)


def test_reading_writes_nothing(shards: Shards):
    out = pack(shards(a={"1.mp4": noise(2, 0)}))
    for path in (*out.iterdir(), out):
        path.chmod(0o555 if path.is_dir() else 0o444)  # holds root back from nothing, so look at the folder too
    before = {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in out.iterdir()}

    read = FrameStore(out)
    assert len(read.read("1.mp4", [0, 1])) == 2

    assert {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in out.iterdir()} == before
    out.chmod(0o755)


def damage(path: Path, how: str) -> None:
    content = path.read_bytes()
    path.unlink()  # it may be linked into the scratch folder
    match how:
        case "cut":
            path.write_bytes(content[: len(content) // 2])
        case "cut by a byte":
            path.write_bytes(content[:-1])
        case "cut to nothing":
            path.touch()
        case "garbage":
            path.write_bytes(bytes(range(256)) * 400)
        case "without its head":
            path.write_bytes(bytes(8192) + content[8192:])


@pytest.mark.parametrize("how", ["cut", "cut by a byte", "cut to nothing", "garbage", "without its head", "gone"])
def test_a_damaged_shard_is_named_with_the_command_that_makes_it_again(shards: Shards, how: str):
    out = pack(shards(a={"1.mp4": noise(30, 0)}, b={"2.mp4": noise(1, 0)}))
    damage(out / "a.lmdb", how)

    read = FrameStore(out)
    with pytest.raises(UserError, match=r"a\.lmdb is damaged .*pipeline doctor --deep"):
        read.read("1.mp4", [0])
    assert bytes(read.read("2.mp4", [0])[0]) == noise(1, 0)[0]


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\1\0", id="short"),
        pytest.param(b"\xff" * 60, id="garbage"),
        pytest.param(frame_store.encode([b"x"], 24, 16), id="a frame less"),
        pytest.param(frame_store.encode([b"x", b"y", b"z"], 24, 16), id="a frame more"),
        pytest.param(frame_store.encode([b"x" * 9, b"y"], 24, 16)[:-1], id="cut"),
    ],
)
def test_a_damaged_value_is_refused_with_shard_and_video(packed: Packed, value: bytes):
    root = packed({"1.mp4": video(1, 2)}).root
    replace_shard(root, [("1.mp4", value)])

    with pytest.raises(UserError, match=r"a\.lmdb is damaged \(video '1\.mp4'.*dvc repro"):
        FrameStore(root).read("1.mp4", [0])


def test_a_video_that_the_shard_lacks_is_refused_with_shard_and_video(packed: Packed):
    root = packed({"1.mp4": video(1, 2)}).root
    replace_shard(root, [("2.mp4", frame_store.encode([b"x"], 24, 16))])

    with pytest.raises(UserError, match=r"a\.lmdb is damaged \(video '1\.mp4'"):
        FrameStore(root).read("1.mp4", [0])


def test_a_folder_that_is_no_store_is_refused_with_the_stage(tmp_path: Path):
    with pytest.raises(UserError, match="dvc repro pack"):
        FrameStore(tmp_path)


def change_index(frames: Path, change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    table = tsv.read(frames / frame_index.FILE, frame_index.COLUMNS, "extract")
    tsv.write(frames / frame_index.FILE, change(table))


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda table: table.replace({"frames": {"2": "3"}}), id="another number of frames"),
        pytest.param(lambda table: table.iloc[:1], id="a video less"),
        pytest.param(lambda table: pd.concat([table, table.iloc[:1].assign(video="3.mp4")]), id="a video more"),
        pytest.param(lambda table: table.replace({"video": {"1.mp4": "0.mp4"}}), id="another video"),
        pytest.param(lambda table: pd.concat([table, table.iloc[:1].assign(shard="b")]), id="a shard more"),
    ],
)
def test_an_index_that_does_not_fit_the_tar_is_refused(shards: Shards, change: Callable[[pd.DataFrame], pd.DataFrame]):
    frames = shards(a={"1.mp4": noise(2, 0), "2.mp4": noise(4, 0)})
    change_index(frames, change)

    with pytest.raises(UserError, match=r"[ab]\.tar is damaged .*pipeline doctor --deep"):
        pack(frames)
    assert not (frames.parent / "lmdb").exists()
    assert {file.suffix for file in (frames.parent / "scratch of lmdb").iterdir()} <= {scratch.CLAIM}


@pytest.mark.parametrize("keep", [0, 100, 512, 1000, 5000])
def test_a_cut_tar_is_refused(shards: Shards, keep: int):
    frames = shards(a={"1.mp4": noise(4, 0)})
    os.truncate(frames / "a.tar", keep)

    with pytest.raises(UserError, match=r"a\.tar is damaged .*pipeline doctor --deep"):
        pack(frames)
    assert not (frames.parent / "lmdb").exists()


def test_garbage_instead_of_a_tar_is_refused(shards: Shards):
    frames = shards(a={"1.mp4": noise(4, 0)})
    (frames / "a.tar").write_bytes(bytes(range(256)) * 100)

    with pytest.raises(UserError, match=r"a\.tar is damaged"):
        pack(frames)


def test_a_missing_index_is_named_with_the_stage(tmp_path: Path):
    (tmp_path / "frames").mkdir()

    with pytest.raises(UserError, match="dvc repro extract"):
        pack(tmp_path / "frames")
