"""Decoding by the device that a model is tested on: loaders hand over JPEGs and crops, a GPU (nvJPEG) does the rest.

For machines with few cores for each GPU. nvJPEG spreads the colours of 4:2:0 JPEGs otherwise than libjpeg, and the GPU
rounds the resizing otherwise, so pixels differ by a few of 255. On a CPU torchvision decodes with libjpeg, to the very
pixels of the loaders.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import simplejpeg
import torch
from torch import Tensor
from torch.utils.data import Dataset
from torchvision import io

from pipeline.clips import dataset, jpeg, transforms
from pipeline.clips.dataset import ClipCrop, DecodedVideo, ViewSpec
from pipeline.clips.frame_source import FrameSource, sides_by_source
from pipeline.core.errors import UserError


@dataclass(frozen=True)
class Jpegs:
    """The JPEGs of one stored size that some view of a video needs."""

    data: Tensor
    """All of them, one after another: uint8 (B,)."""
    lengths: tuple[int, ...]
    """The number of bytes of each."""
    at: Mapping[int, Sequence[int]]
    """Short side to which frames are resized -> the positions of the F ones that some view needs there."""


@dataclass(frozen=True)
class EncodedVideo:
    """A video before it is decoded: what becomes a DecodedVideo on the device."""

    video: str
    stored: tuple[Jpegs, ...]
    crops: tuple[tuple[ClipCrop, ...], ...]
    """Those of the DecodedVideo."""


def read_video(source: FrameSource, video: str, specs: Sequence[ViewSpec]) -> EncodedVideo:
    """Read what `dataset.decode_video` reads, and decode no more than the headers.

    Raises:
        UserError: a frame is no JPEG or of too many pixels, or two of one size differ in theirs.
    """
    clips = dataset.clips_of_views(specs, source.frames(video))
    stored = []
    sizes: dict[int, tuple[int, int]] = {}
    for at, sides in sides_by_source(source, clips.needed).items():
        every = np.unique(np.concatenate([clips.needed[side] for side in sides]))
        jpegs = at.read(video, every.tolist())
        try:
            height, width = jpeg.size_of_all(jpegs)
        except ValueError as error:
            raise at.damaged(video, error) from error
        data = torch.from_numpy(np.concatenate([np.frombuffer(one, np.uint8) for one in jpegs]))
        positions = {side: np.searchsorted(every, clips.needed[side]).tolist() for side in sides}
        stored.append(Jpegs(data, tuple(map(len, jpegs)), positions))
        sizes |= {side: transforms.resized(height, width, side) for side in sides}
    return EncodedVideo(video, tuple(stored), clips.crops(video, specs, sizes))


class EncodedVideoDataset(Dataset[EncodedVideo]):
    """Videos for several models: item i is `read_video` of pair i of (video, specs)."""

    def __init__(self, items: Sequence[tuple[str, Sequence[ViewSpec]]], source: FrameSource) -> None:
        self.items, self.source = items, source

    def __len__(self) -> int:
        """The number of videos."""
        return len(self.items)

    def __getitem__(self, position: int) -> EncodedVideo:
        """One video."""
        return read_video(self.source, *self.items[position])


class DeviceDecoder:
    """Decodes and resizes the frames of videos on a device.

    Args:
        source: names the shard of a frame that does not decode.

    Raises:
        UserError: torchvision cannot decode on this device.
    """

    def __init__(self, source: FrameSource, device: torch.device) -> None:
        self.source, self.device = source, device
        black = simplejpeg.encode_jpeg(np.zeros((16, 16, 3), np.uint8))
        try:
            self._decode([torch.frombuffer(bytearray(black), dtype=torch.uint8)])
        except (AttributeError, RuntimeError) as error:  # it is to leave torchvision, which names torchcodec instead
            raise UserError(
                f"torchvision does not decode JPEGs on this device ({error}). Set machine.decode: workers in "
                "conf/config.yaml (then `pipeline params`)."
            ) from error

    def __call__(self, encoded: EncodedVideo) -> DecodedVideo:
        """The video, decoded on the device.

        Raises:
            UserError: a frame does not decode.
        """
        frames = {}
        for stored in encoded.stored:
            try:
                pictures = self._decode(stored.data.split(stored.lengths))
            except torch.OutOfMemoryError:
                raise
            except RuntimeError as error:
                raise self.source.at(min(stored.at)).damaged(encoded.video, error) from error
            for side, positions in stored.at.items():
                chosen = pictures[torch.tensor(positions).to(self.device, non_blocking=True)]
                frames[side] = transforms.resize_short_side(chosen, side)
        return DecodedVideo(frames, encoded.crops)

    def _decode(self, jpegs: Sequence[Tensor]) -> Tensor:
        """The pixels of JPEGs of one size, uint8 (T, 3, H, W)."""
        return torch.stack(io.decode_jpeg(list(jpegs), io.ImageReadMode.RGB, self.device))
