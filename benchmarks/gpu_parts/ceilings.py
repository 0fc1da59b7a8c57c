"""What the device can do at most: products of matrices and copies; and how exact its convolutions are."""

import torch
from gpu_parts.report import Report, seconds_of
from torch import nn

DATASHEET = {"H200": (67e12, 494e12, 989e12), "H100": (67e12, 494e12, 989e12), "A100": (19.5e12, 156e12, 312e12)}
"""Part of a GPU's name -> operations a second in float32, TF32 and bf16 without sparsity, as its maker states them."""
KINDS = ("32", "tf32", "bf16")


def set_kind(kind: str) -> torch.dtype:
    """Let float32 products be whole, or rounded in TF32; the type in which products are asked for."""
    torch.backends.cudnn.allow_tf32 = kind == "tf32"
    torch.set_float32_matmul_precision("high" if kind == "tf32" else "highest")
    return torch.bfloat16 if kind == "bf16" else torch.float32


def peaks(device: torch.device) -> dict[str, float | None]:
    """Kind -> operations a second that the maker states; None where this table has no such device."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else ""
    stated = next((rates for part, rates in DATASHEET.items() if part in name), (None,) * len(KINDS))
    return dict(zip(KINDS, stated, strict=True))


def measure(report: Report, device: torch.device, smoke: bool) -> dict[str, float]:
    """Kind -> operations a second of a product of two matrices of random numbers."""
    size, found = 256 if smoke else 8192, {}
    for kind in KINDS:
        dtype = set_kind(kind)
        one, other = torch.randn(2, size, size, device=device, dtype=dtype)
        seconds = seconds_of(lambda: one @ other, device, budget=0.01 if smoke else 2)  # noqa: B023 - called at once
        found[kind] = 2 * size**3 / seconds
        report.add("product of matrices", kind=kind, size=size, tflops=found[kind] / 1e12)
    source = torch.empty((1 << 20 if smoke else 1 << 32), dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    seconds = seconds_of(lambda: target.copy_(source), device, budget=0.01 if smoke else 1)
    report.add("copy", gigabytes=source.numel() / 1e9, gigabytes_a_second=2 * source.numel() / seconds / 1e9)
    return found


def convolution(report: Report, device: torch.device) -> None:
    """A 3D convolution in each kind against float64, as the largest error by the largest value."""
    torch.manual_seed(0)
    x, weight = torch.randn(2, 32, 8, 28, 28, device=device), torch.randn(32, 32, 3, 3, 3, device=device) / 30
    exact = nn.functional.conv3d(x.double(), weight.double(), padding=1)
    for kind in KINDS:
        dtype = set_kind(kind)
        found = nn.functional.conv3d(x.to(dtype), weight.to(dtype), padding=1).double()
        report.add("3D convolution", kind=kind, error=float((found - exact).abs().max() / exact.abs().max()))
