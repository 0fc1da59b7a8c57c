"""Decoding JPEGs: simplejpeg on one core against torchvision, which has nvJPEG for batches on a GPU."""

import numpy as np
import simplejpeg
import torch
from gpu_parts.report import Report, seconds_of
from torch.nn import functional as F
from torchvision.io import ImageReadMode, decode_jpeg


def measure(report: Report, device: torch.device, frames: int) -> None:
    """Frames a second of both, and by how much their pixels differ, of 255."""
    coarse = torch.rand(frames, 3, 20, 27, generator=torch.Generator().manual_seed(0))
    smooth = (255 * F.interpolate(coarse, (320, 426), mode="bicubic").clamp(0, 1)).byte()
    jpegs = [simplejpeg.encode_jpeg(picture.permute(1, 2, 0).contiguous().numpy(), quality=92) for picture in smooth]
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
