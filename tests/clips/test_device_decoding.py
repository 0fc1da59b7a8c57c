"""Decoding by the device: on a CPU it shows the pixels that loaders show, and names what does not decode."""

import numpy as np
import pytest
import torch
from torchvision import io

from pipeline.clips import jpeg
from pipeline.clips.dataset import ViewSpec, decode_video
from pipeline.clips.device_decoding import DeviceDecoder, EncodedVideoDataset, read_video
from pipeline.clips.sampling import SamplerConfig
from pipeline.clips.views import Scale, ViewConfig, grid
from pipeline.core.errors import UserError
from tests.support.pictures import SPEC, Frames, encoded

CPU = torch.device("cpu")
OTHER = ViewSpec(SamplerConfig("dense", 4, 2), grid(Scale(48, 48), ViewConfig(clips=3, sides=(64,), crop=None)))


def test_a_torchvision_that_decodes_no_more_is_found_too(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delattr(io, "decode_jpeg")
    with pytest.raises(UserError, match=r"machine.decode: workers"):
        DeviceDecoder(Frames(1, 32, 32), CPU)


@pytest.mark.parametrize(("height", "width"), [(96, 128), (160, 96)])
def test_it_gives_the_video_that_loaders_decode(height: int, width: int):
    source = Frames(9, height, width)
    expected = decode_video(source, "a", [SPEC, OTHER])
    (read,) = EncodedVideoDataset([("a", [SPEC, OTHER])], source)
    found = DeviceDecoder(source, CPU)(read)
    assert found.crops == expected.crops
    assert found.frames.keys() == expected.frames.keys() == {48, 64, 96}
    for side, frames in expected.frames.items():
        apart = (found.frames[side].int() - frames.int()).abs()
        assert apart.max() <= 1, "the resizing rounds by how the colours lie in memory"


def test_each_scale_is_decoded_from_the_smallest_size_that_suffices():
    class Sizes(Frames):
        def at(self, side: int) -> Frames:
            return small if side <= 64 else self

    small, large = Frames(9, 64, 96), Sizes(9, 128, 192)
    expected, read = decode_video(large, "a", [SPEC]), read_video(large, "a", [SPEC])
    assert [sorted(stored.at) for stored in read.stored] == [[64], [96]]
    found = DeviceDecoder(large, CPU)(read)
    assert found.crops == expected.crops
    assert all((found.frames[side].int() - expected.frames[side].int()).abs().max() <= 1 for side in (64, 96))


WRONG = {
    "no JPEG": b"not a picture",
    "another size": encoded(np.zeros((96, 96, 3), np.uint8)),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_frame_that_loaders_refuse_is_refused_before_it_reaches_the_device(wrong: str):
    source = Frames(6, 96, 128)
    source.jpegs[2] = WRONG[wrong]
    for read in (read_video, decode_video):
        with pytest.raises(UserError, match="shard of a: "):
            read(source, "a", [SPEC])


def test_so_is_a_bomb(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(jpeg, "MOST_PIXELS", 96 * 128 - 1)
    with pytest.raises(UserError, match="shard of a: 128 x 96 pixels are more than a frame has"):
        read_video(Frames(6, 96, 128), "a", [SPEC])


def test_one_that_breaks_off_is_named_by_the_device():
    source = Frames(6, 96, 128)
    source.jpegs[2] = source.jpegs[2][:-200]
    with pytest.raises(UserError, match="shard of a: "):
        DeviceDecoder(source, CPU)(read_video(source, "a", [SPEC]))


def test_too_little_memory_is_no_damage(monkeypatch: pytest.MonkeyPatch):
    source = Frames(6, 96, 128)
    decode = DeviceDecoder(source, CPU)

    def full(*_: object) -> list[torch.Tensor]:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(io, "decode_jpeg", full)
    with pytest.raises(torch.OutOfMemoryError):
        decode(read_video(source, "a", [SPEC]))


def test_a_device_that_cannot_decode_is_found_before_the_first_video(monkeypatch: pytest.MonkeyPatch):
    def lacking(*_: object) -> list[torch.Tensor]:
        raise RuntimeError("torchvision was not compiled with nvJPEG")

    monkeypatch.setattr(io, "decode_jpeg", lacking)
    with pytest.raises(UserError, match=r"not compiled with nvJPEG.*machine.decode: workers"):
        DeviceDecoder(Frames(1, 32, 32), CPU)
