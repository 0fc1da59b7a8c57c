"""The layers that look along time, forward and backward, against a copy of their tensor, the least that one costs."""

import torch
from gpu_parts import ceilings
from gpu_parts.report import Report, seconds_of
from torch import Tensor, nn

from pipeline.layers.interlace import TemporalInterlace
from pipeline.layers.shift import TemporalShift

FRAMES, CHANNELS = 8, 256


class Copy(nn.Module):
    """The identity, in new memory."""

    def forward(self, x: Tensor) -> Tensor:
        """Copy."""
        return x.clone()


def measure(report: Report, device: torch.device, clips: int, pixels: int) -> None:
    """Milliseconds of the copy and of TSM's and TIN's layer, and what that is in copies."""
    layers = {
        "copy": Copy(),
        "shift (TSM)": TemporalShift(FRAMES),
        "interlace (TIN)": TemporalInterlace(CHANNELS, FRAMES),
    }
    for kind in ("32", "bf16"):
        ceilings.set_kind(kind)
        x = torch.randn(clips * FRAMES, CHANNELS, pixels, pixels, device=device, requires_grad=True)
        if kind == "bf16":
            x = x.detach().to(torch.bfloat16).requires_grad_()
        gradient, copy = torch.randn_like(x), 0.0
        for name, layer in layers.items():
            module = layer.to(device)

            def both() -> None:
                with torch.autocast(device.type, torch.bfloat16, enabled=x.dtype == torch.bfloat16):  # noqa: B023
                    y = module(x)  # noqa: B023 - called at once
                torch.autograd.grad(y, x, gradient.to(y.dtype))  # noqa: B023

            milliseconds = 1000 * seconds_of(both, device, budget=0.5 if device.type == "cuda" else 0.05)
            copy = copy or milliseconds
            report.add(
                "layer", layer=name, kind=kind, megabytes=x.nbytes / 1e6, ms=milliseconds, copies=milliseconds / copy
            )
