"""Decoding JPEGs: simplejpeg on one core against torchvision, which has nvJPEG for batches on a GPU.

And of a whole video with its resizing, as machine.decode says: by a worker or by the device.
"""

from collections.abc import Sequence

import numpy as np
import simplejpeg
import torch
from gpu_parts.report import Report, seconds_of
from torch.nn import functional as F
from torchvision.io import ImageReadMode, decode_jpeg

from pipeline.clips.dataset import DecodedVideo, ViewSpec, decode_video
from pipeline.clips.device_decoding import DeviceDecoder, read_video


class Frames:
    """The source of one video, which lies in memory."""

    holds = "frames"

    def __init__(self, jpegs: list[bytes]) -> None:
        self.jpegs = jpegs

    def at(self, side: int) -> "Frames":
        """Itself: there is one size."""
        del side
        return self

    def frames(self, video: str) -> int:
        """The number of frames."""
        del video
        return len(self.jpegs)

    def read(self, video: str, indices: Sequence[int]) -> list[memoryview]:
        """Some JPEGs."""
        del video
        return [memoryview(self.jpegs[index]) for index in indices]

    def damaged(self, video: str, why: object) -> Exception:
        """The error for a JPEG that does not decode."""
        return RuntimeError(f"{video}: {why}")


def drawn(frames: int) -> list[bytes]:
    """JPEGs of 426 x 320, smooth and with halved colours, as FFmpeg writes them."""
    coarse = torch.rand(frames, 3, 20, 27, generator=torch.Generator().manual_seed(0))
    smooth = (255 * F.interpolate(coarse, (320, 426), mode="bicubic").clamp(0, 1)).byte()
    pictures = smooth.permute(0, 2, 3, 1).contiguous().numpy()
    return [simplejpeg.encode_jpeg(picture, quality=92, colorsubsampling="420") for picture in pictures]


def measure(report: Report, device: torch.device, frames: int) -> None:
    """Frames a second of both, and by how much their pixels differ, of 255."""
    jpegs = drawn(frames)
    bytes_of = [torch.frombuffer(bytearray(jpeg), dtype=torch.uint8) for jpeg in jpegs]

    def ours() -> list[np.ndarray]:
        return [simplejpeg.decode_jpeg(jpeg) for jpeg in jpegs]

    def batch() -> list[torch.Tensor]:
        return decode_jpeg(bytes_of, mode=ImageReadMode.RGB, device=device)

    apart = [
        np.abs(one.astype(int) - other.permute(1, 2, 0).cpu().numpy())
        for one, other in zip(ours(), batch(), strict=True)
    ]
    mean, most = float(np.mean(apart)), int(np.max(apart))
    for name, call in (("simplejpeg, one core", ours), (f"torchvision on {device.type}", batch)):
        rate = frames / seconds_of(call, device, budget=1 if device.type == "cuda" else 0.05)
        report.add(
            "JPEGs of 426 x 320", decoder=name, batch=frames, frames_a_second=rate, mean_error=mean, most_error=most
        )


def measure_video(report: Report, device: torch.device, spec: ViewSpec, frames: int) -> None:
    """Milliseconds of a video until its frames lie on the device at every scale of its views."""
    source = Frames(drawn(frames))
    decoder = DeviceDecoder(source, device)

    def worker() -> DecodedVideo:
        return decode_video(source, "a", [spec]).to(device)

    def by_device() -> DecodedVideo:
        return decoder(read_video(source, "a", [spec]))

    one, other = worker().frames, by_device().frames
    apart = torch.cat([(one[side].int() - other[side].int()).abs().flatten() for side in one]).float()
    for name, call in (("workers, one core", worker), ("device", by_device)):
        ms = 1000 * seconds_of(call, device, budget=1 if device.type == "cuda" else 0.05)
        mean, most = float(apart.mean()), int(apart.max())
        report.add("frames of a video's views", decode=name, frames=frames, ms=ms, mean_error=mean, most_error=most)
