"""Smaller sizes: which one is read, by whom, what its pixels are, and that its bytes are as sure as those of others."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import simplejpeg
import torch
from PIL import Image

from pipeline.clips import dataset, jpeg, packing, short_sides, transforms, views
from pipeline.clips.dataset import MultiViewDataset, TrainDataset, ViewSpec
from pipeline.clips.frame_store import FrameStore
from pipeline.clips.sampling import SamplerConfig
from pipeline.clips.short_sides import PackConfig, Smaller
from pipeline.clips.transforms import AugmentConfig
from pipeline.clips.views import Scale, ViewConfig
from pipeline.core import checksums, files
from pipeline.core.errors import UserError
from pipeline.core.manifest import Manifest, VideoRecord
from pipeline.core.share import Share
from pipeline.report import strips
from tests.support import damage

Shards = Callable[..., Path]
SEGMENTS = SamplerConfig("segments", 2)
SMALLER = (Smaller(160, 90),)
RE_ENCODED = 3.0
"""Mean error allowed of a smaller frame, of 255, against Pillow's resizing of what was drawn: it is encoded twice."""


def drawn(height: int, width: int, number: int = 0, beyond: int = 0) -> np.ndarray:
    """A picture (H, W, 3) of waves, endless at the left and 20 pixels long at the right, with some pixels beyond it."""
    down, across = np.mgrid[: height + beyond, : width + beyond].astype(float)
    bright = 127 + 90 * np.sin(across**2 / 6 / width + down / 19 + number)
    return np.stack([bright + 30 * np.sin(down / 40 + colour) for colour in range(3)], axis=-1).astype(np.uint8)


def video(height: int, width: int, frames: int = 2) -> list[bytes]:
    return [simplejpeg.encode_jpeg(drawn(height, width, number), 95, "RGB", "420") for number in range(frames)]


def pack(frames: Path, name: str = "lmdb", smaller: Sequence[Smaller] = SMALLER, **options: object) -> Path:
    """Pack with an empty scratch folder of its own."""
    (frames.parent / f"scratch of {name}").mkdir(exist_ok=True)
    packing.pack(frames, frames.parent / name, frames.parent / f"scratch of {name}", smaller=smaller, **options)
    return frames.parent / name


@pytest.fixture
def store(shards: Shards) -> FrameStore:
    """Two videos of 320 pixels, upright and not, at 320 and at 160."""
    return FrameStore(pack(shards(a={"flat.mp4": video(320, 426), "up.mp4": video(426, 320)})))


#                                asked for: 1  112  128  160  161  224  240  241  320  400
@pytest.mark.parametrize(("smaller", "read"), [
    ((),                                   [0,   0,   0,   0,   0,   0,   0,   0,   0,   0]),
    ((160,),                             [160, 160, 160, 160,   0,   0,   0,   0,   0,   0]),
    ((240, 160),                         [160, 160, 160, 160, 240, 240, 240,   0,   0,   0]),
    ((240, 160, 112),                    [112, 112, 160, 160, 240, 240, 240,   0,   0,   0]),
])  # fmt: skip
def test_the_smallest_size_that_suffices_is_read(smaller: tuple[int, ...], read: list[int]):
    """0: the extracted frames."""
    asked = (1, 112, 128, 160, 161, 224, 240, 241, 320, 400)
    assert [short_sides.choose(smaller, side) or 0 for side in asked] == read


@pytest.mark.parametrize(("augment", "asked"), [
    (AugmentConfig("random_side", 112, sides=(128, 160)),                   160),
    (AugmentConfig("random_side", 224, sides=(256, 320)),                   320),
    (AugmentConfig("scale_jitter", 112, ratios=(1.0,)),                     112),
    (AugmentConfig("scale_jitter", 112, ratios=(1, 0.875, 0.75, 0.7)),      160),
    (AugmentConfig("scale_jitter", 112, ratios=(1, 0.875, 0.75, 0.66)),     170),
    (AugmentConfig("scale_jitter", 224, ratios=(1, 0.875, 0.75, 0.66)),     340),
])  # fmt: skip
def test_training_asks_for_a_side_at_which_no_crop_is_enlarged(
    augment: AugmentConfig, asked: int, monkeypatch: pytest.MonkeyPatch
):
    assert transforms.asked_side(augment) == asked

    sizes, resize = [], transforms._resize
    monkeypatch.setattr(
        transforms, "_resize", lambda frames, to: sizes.append((frames.shape, to)) or resize(frames, to)
    )
    frames = torch.zeros(1, 3, asked, asked + 60, dtype=torch.uint8)
    for seed in range(60):
        transforms.training_crop(frames, augment, np.random.default_rng(seed))
    assert all(shape[2] >= to[0] and shape[3] >= to[1] for shape, to in sizes)
    reached = [min(shape[2] - to[0], shape[3] - to[1]) for shape, to in sizes]
    assert min(reached) <= transforms.SNAP, "and no more than that"


def reads(monkeypatch: pytest.MonkeyPatch) -> list[int | None]:
    """The sizes that are read from now on."""
    sides, read = [], FrameStore.read
    monkeypatch.setattr(FrameStore, "read", lambda self, *what: sides.append(self.side) or read(self, *what))
    return sides


@pytest.mark.parametrize(("sides", "read"), [((128, 160), 160), ((128, 161), None), ((256, 320), None)])
def test_training_reads_the_size_that_suffices(
    store: FrameStore, monkeypatch: pytest.MonkeyPatch, sides: tuple[int, int], read: int | None
):
    names = {"train": "flat.mp4", "val": "up.mp4", "test": "x"}
    manifest = Manifest.from_records(
        [VideoRecord(name, split, name, "a", "1-x") for split, name in names.items()], ["a"]
    )
    clips = TrainDataset(
        manifest.split("train"), store, SEGMENTS, AugmentConfig("random_side", 112, sides=sides), seed=0
    )
    found = reads(monkeypatch)

    assert clips[0, 0][0].shape == (3, 2, 112, 112)
    assert found == [read]


@pytest.mark.parametrize(("side", "read"), [(112, 160), (160, 160), (224, None)])
def test_validation_and_features_read_the_size_that_suffices(
    store: FrameStore, monkeypatch: pytest.MonkeyPatch, side: int, read: int | None
):
    centre = views.ViewGrid((views.View(1, 0, Scale(side, side), "centre"),), {"clip": (0,)})
    found = reads(monkeypatch)

    assert MultiViewDataset(["up.mp4"], store, SEGMENTS, centre)[0][side].shape == (1, 3, 2, side, side)
    assert found == [read]


def test_each_scale_of_a_test_is_read_at_its_own_size_whoever_else_is_tested(
    store: FrameStore, monkeypatch: pytest.MonkeyPatch
):
    """So that a view is the same beside whichever other views and models."""
    specs = [
        ViewSpec(SEGMENTS, views.grid(Scale(128, 128), ViewConfig(2, (128, 144, 160), None))),
        ViewSpec(SamplerConfig("dense", 2, 1), views.grid(Scale(256, 224), ViewConfig(1, (144, 256), 128))),
    ]
    found = reads(monkeypatch)

    together = dataset.decode_video(store, "flat.mp4", specs)
    assert found == [160, None]
    for spec, crops in zip(specs, together.crops, strict=True):
        for view, crop in zip(spec.grid.views, crops, strict=True):
            grid = views.ViewGrid((view,), {"clip": (0,)})
            alone = dataset.decode_video(store, "flat.mp4", [ViewSpec(spec.sampler, grid)])
            assert found.pop() == (160 if view.scale.side <= 160 else None)
            assert torch.equal(crop.pixels(together.frames), alone.crops[0][0].pixels(alone.frames))


def test_the_strips_of_the_page_are_read_at_the_smaller_size(store: FrameStore, monkeypatch: pytest.MonkeyPatch):
    found = reads(monkeypatch)
    assert strips.strip(store, "flat.mp4")
    assert found == [160]


@pytest.mark.parametrize(("extracted", "eighths", "smaller"), [
    ((320, 426), 4, (160, 213)),
    ((320, 427), 4, (160, 214)),
    ((426, 320), 4, (213, 160)),
    ((256, 340), 5, (160, 213)),
    ((240, 320), 6, (180, 240)),
    ((480, 640), 3, (180, 240)),
    ((160, 214), 8, (160, 214)),
    ((96, 144), 8, (96, 144)),
])  # fmt: skip
def test_a_smaller_frame_shows_what_pillow_makes_of_the_picture(
    shards: Shards, extracted: tuple[int, int], eighths: int, smaller: tuple[int, int]
):
    """Heights and widths; the last pixels of a smaller frame may lie half beyond the edge, where libjpeg rounds up."""
    jpegs = video(*extracted)
    store = FrameStore(pack(shards(a={"1.mp4": jpegs}))).at(160)

    for number, stored in enumerate(store.read("1.mp4", [0, 1])):
        pixels = simplejpeg.decode_jpeg(stored)
        assert pixels.shape == (*smaller, 3)
        beyond = Image.fromarray(drawn(*extracted, number, beyond=8))
        box = (0, 0, smaller[1] * 8 / eighths, smaller[0] * 8 / eighths)
        expected = np.asarray(beyond.resize(smaller[::-1], Image.Resampling.BILINEAR, box)).astype(int)
        assert np.abs(pixels - expected).mean() < RE_ENCODED
        assert np.abs(pixels[:, 1:] - expected[:, :-1]).mean() > 2 * RE_ENCODED, "one pixel off would show"
        if smaller == extracted:
            assert bytes(stored) == jpegs[number], "no larger than asked for: as it is"
    with pytest.raises(UserError, match="video '1.mp4': x"):
        raise store.damaged("1.mp4", "x")


def test_a_smaller_frame_is_what_the_reduced_decoding_of_the_extracted_one_gives(store: FrameStore):
    """What training on the extracted frames sees, but for another JPEG."""
    small, large = (transforms.decode(each.read("up.mp4", [0, 1]), 160) for each in (store.at(160), store))
    assert small.shape == large.shape == (2, 3, 213, 160)
    assert (small.int() - large.int()).abs().float().mean() < RE_ENCODED / 2


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def frames(shards: Shards) -> Path:
    """Three tars, one without a video."""
    return shards(a={"1.mp4": video(48, 64), "2.mp4": video(64, 48, 3)}, b={"3.mp4": video(20, 30)}, c={})


SIZES = (Smaller(32, 90), Smaller(16, 80))


def test_workers_and_shares_give_the_same_bytes(frames: Path):
    whole = contents(pack(frames, "whole", SIZES))
    assert sorted(name for name in whole if name.endswith(".lmdb")) == [
        *("a.16.lmdb", "a.32.lmdb", "a.lmdb", "b.16.lmdb", "b.32.lmdb", "b.lmdb", "c.16.lmdb", "c.32.lmdb", "c.lmdb")
    ]
    assert contents(pack(frames, "workers", SIZES, workers=3)) == whole
    for number in (2, 4, 1):
        pack(frames, "shares", SIZES, share=Share(number, 4))
        assert not (frames.parent / "shares").exists()
    assert contents(pack(frames, "shares", SIZES, share=Share(3, 4))) == whole


def test_of_tars_that_were_dropped_the_smaller_sizes_are_made_of_what_replaced_them(frames: Path):
    """With extract.keep: false."""
    whole = pack(frames, "whole", SIZES)
    sums = {tar.name: files.file_hash(tar) for tar in frames.glob("*.tar")}
    for tar in list(frames.glob("*.tar")):
        tar.with_suffix(".lmdb").write_bytes((whole / f"{tar.stem}.lmdb").read_bytes())
        tar.unlink()
    checksums.write(frames / packing.TARS, map(Path, sums), sums)
    checksums.seal(frames)

    assert contents(pack(frames, "dropped", SIZES, workers=2)) == contents(whole)
    assert not list((frames.parent / "scratch of dropped").glob("*.lock"))


def test_the_extracted_size_has_the_bytes_that_it_has_alone(frames: Path):
    alone, beside = contents(pack(frames, "alone", ())), contents(pack(frames, "beside", SIZES))
    own = [name for name in alone if name.endswith(".lmdb")]
    assert {name: beside[name] for name in [*own, "index.tsv"]} == {name: alone[name] for name in [*own, "index.tsv"]}


def test_another_size_packs_no_finished_shard_again(frames: Path):
    pack(frames, "lmdb", SIZES[:1])
    kept = {path.name: path.stat().st_ino for path in (frames.parent / "lmdb").glob("*.lmdb")}
    (frames.parent / "lmdb").rename(frames.parent / "before")
    pack(frames, "lmdb", SIZES)
    assert {path.name: path.stat().st_ino for path in (frames.parent / "lmdb").glob("*.lmdb")}.items() > kept.items()


def test_the_content_key_is_that_of_the_sizes_that_are_read(frames: Path):
    alone = FrameStore(pack(frames, "alone", ()))
    two = FrameStore(pack(frames, "two", SIZES[:1]))
    better = FrameStore(pack(frames, "better", (Smaller(32, 95),)))
    three = FrameStore(pack(frames, "three", SIZES))

    large, small = two.content_key({40}), two.content_key({20, 32})
    assert (
        large == alone.content_key() == alone.content_key({20, 40}) == better.content_key({40}) == three.content_key()
    )
    assert small == three.content_key({32}) == two.at(32).content_key()
    others = [two.content_key({20, 40}), better.content_key({20}), three.content_key({16}), three.content_key({16, 32})]
    assert len({large, small, *others}) == 6


@pytest.mark.parametrize("name", ["a.lmdb", "a.16.lmdb"])
def test_a_flipped_bit_is_noticed_or_changes_no_frame_of_any_size(frames: Path, name: str):
    root = pack(frames, smaller=SIZES)

    def every_frame(of: Path) -> list[bytes]:
        store = FrameStore(of)
        each = (store.at(side) for side in (64, 32, 16))
        return [bytes(data) for at in each for v in at.videos for data in at.read(v, range(at.frames(v)))]

    assert checksums.read(root / checksums.NAME).keys() >= {"a.lmdb", "a.32.lmdb", "a.16.lmdb"}
    good, size, noticed = every_frame(root), (root / name).stat().st_size, 0
    for offset in range(0, size, 499):
        copy = root.parent / f"copy{offset}"
        copy.mkdir()
        for path in root.iterdir():
            (copy / path.name).write_bytes(path.read_bytes())
        damage.flip(copy / name, offset, offset % 8)
        said = ""
        try:
            assert every_frame(copy) == good, offset
        except UserError as error:
            noticed, said = noticed + 1, str(error)
        assert re.fullmatch(rf"|.*{re.escape(name)} is damaged.*", said)
    assert noticed > size / 499 / 4


@pytest.mark.parametrize("how", ["missing", "cut short"])
def test_a_smaller_size_whose_file_is_not_whole_is_refused_and_no_other_read_instead(frames: Path, how: str):
    root = pack(frames, smaller=SIZES)
    path = root / "a.32.lmdb"
    data = path.read_bytes()
    path.unlink()
    if how == "cut short":
        path.write_bytes(data[: len(data) // 2])
    with pytest.raises(UserError, match=r"a\.32\.lmdb is damaged.*dvc repro pack"):
        FrameStore(root).at(32).read("1.mp4", [0])


def test_a_frame_that_does_not_decode_is_refused_with_its_tar(shards: Shards):
    whole = video(48, 64)
    frames = shards(a={"1.mp4": [whole[0], whole[1][:-200]]})
    with pytest.raises(UserError, match=r"a\.tar is damaged \(video '1\.mp4'.*pipeline doctor --deep"):
        pack(frames, smaller=SIZES)
    assert not (frames.parent / "lmdb").exists()


def test_a_read_only_store_is_read_at_all_sizes(frames: Path):
    root = pack(frames, smaller=SIZES)
    before = {path.name: path.stat().st_mtime_ns for path in root.iterdir()}
    root.chmod(0o555)
    assert FrameStore(root).at(16).read("3.mp4", [0])
    assert {path.name: path.stat().st_mtime_ns for path in root.iterdir()} == before


def test_a_smaller_jpeg_is_a_function_of_the_larger_one():
    (data,) = video(320, 426, 1)
    assert jpeg.shrink(data, 160, 90) == jpeg.shrink(data, 160, 90) != jpeg.shrink(data, 160, 91)


@pytest.mark.parametrize(("sides", "quality", "said"), [
    ((), 90, "must begin with extract.short_side"),
    ((320, 320), 90, r"in descending order, not \[320, 320\]"),
    ((160, 320), 90, "in descending order"),
    ((320, 0), 90, "in descending order"),
    ((320, 160), 0, "jpeg_quality must lie in 1 .. 100"),
    ((320, 160), 101, "jpeg_quality must lie in 1 .. 100"),
])  # fmt: skip
def test_sizes_that_cannot_be_are_refused(sides: tuple[int, ...], quality: int, said: str):
    with pytest.raises(ValueError, match=said):
        PackConfig(sides, quality)
