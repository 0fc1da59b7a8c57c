"""Testing: views a second by how many share a pass: what machine.views_per_pass and videos_per_pass should be."""

import torch
from gpu_parts import ceilings
from gpu_parts.report import Report, seconds_of

from pipeline.cli import model_table
from pipeline.cli.arguments import CLASSES
from pipeline.layers.normalize import normalize
from pipeline.training.config import ModelConfig


def measure(
    report: Report, device: torch.device, config: ModelConfig, side: int, views: tuple[int, ...], budget: float
) -> None:
    """Views a second of `side` pixels, from bytes that lie on the device to logits."""
    network, spec = config.build(CLASSES)
    network = network.to(device).eval()
    _, gmacs = model_table.cost(config, crop=side)
    peaks = ceilings.peaks(device)
    for kind in ("tf32", "bf16"):
        ceilings.set_kind(kind)
        for count in views:
            pixels = torch.randint(0, 256, (count, 3, config.clip.sampler.length, side, side), dtype=torch.uint8)
            clips = pixels.to(device)

            def forward() -> None:
                with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=kind == "bf16"):  # noqa: B023
                    network(normalize(clips, spec))  # noqa: B023 - called at once

            rate = count / seconds_of(forward, device, budget)
            peak = peaks[kind]
            mfu = 2e9 * gmacs * rate / peak if peak else None
            report.add("testing", kind=kind, views_per_pass=count, side=side, views_a_second=rate, mfu=mfu)
