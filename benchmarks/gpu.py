"""What a GPU does with this pipeline, in nine minutes.

    python benchmarks/gpu.py --out FOLDER             # needs a GPU
    python benchmarks/gpu.py --smoke --device cpu     # whether all of it runs, in seconds
    python benchmarks/gpu.py --compose                # after a change of conf/, where Hydra is: gpu_parts/models.yaml

Training steps by precision, memory layout and compilation, as clips a second, share of the stated peak (MFU) and
memory; whether bf16 learns what float32 learns; the layers of TSM and TIN against a copy of their tensor; the views of
testing; JPEGs. Every figure is printed as it comes and kept in FOLDER/gpu.json, so a run that is cut short leaves what
it had.

It needs PyTorch, torchvision, timm, lightning-fabric, lmdb, simplejpeg, NumPy, pandas, pyarrow, safetensors, PyYAML and
tqdm, and neither DVC nor Hydra nor FFmpeg.
"""

import argparse
import dataclasses
import platform
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # the project need not be installed

import timm
import torch
import torchvision
import yaml
from gpu_parts import agreement, ceilings, decoding, layers, steps, testing
from gpu_parts.report import Report
from gpu_parts.steps import Way

from pipeline.cli.arguments import CONF
from pipeline.clips import views
from pipeline.clips.dataset import ViewSpec
from pipeline.clips.views import ViewConfig
from pipeline.training.config import ModelConfig

MODELS = ("tsm_r50", "tin_r101", "slowfast_8x8_r101")
SETTINGS = Path(__file__).parent / "gpu_parts" / "models.yaml"
HEAD = (
    "# The models of benchmarks/gpu.py, composed from conf/: `python benchmarks/gpu.py --compose` writes this file.\n"
)
EAGER = [Way(kind, last) for kind in ceilings.KINDS for last in (False, True)]


def composed() -> str:
    """The text of `SETTINGS`; needs Hydra."""
    from pipeline.cli import compose  # noqa: PLC0415

    text = compose.text(CONF, [f"model=[{','.join([*MODELS, 'tsm_demo'])}]", "dataset=folder"])
    return HEAD + yaml.safe_dump(yaml.safe_load(text)["models"], sort_keys=False)


def settings() -> dict[str, ModelConfig]:
    """The models by name."""
    sections = yaml.safe_load(SETTINGS.read_text(encoding="utf-8"))
    return {name: ModelConfig.read(section, f"models.{name}") for name, section in sections.items()}


def views_of(model: ModelConfig, sides: tuple[int, ...]) -> ViewSpec:
    """The views of ten clips in three crops at some sides."""
    return ViewSpec(model.clip.sampler, views.grid(model.clip.centre, ViewConfig(10, sides, None)))


def all_of_it(report: Report, device: torch.device) -> None:
    """What a GPU is asked, the most wanted first."""
    models = settings()
    ceilings.measure(report, device, smoke=False)
    ceilings.convolution(report, device)
    peaks = ceilings.peaks(device)

    def speed(name: str, way: Way, seconds: float) -> None:
        if report.has_time(f"steps of {name}, {way}", seconds):
            found = steps.measure(models[name], 64, way, device, peaks[way.kind], budget=4)
            report.add("training", model=name, **dataclasses.asdict(way), **found)

    for name in MODELS:
        for way in EAGER:
            speed(name, way, 15)
    layers.measure(report, device, clips=64, pixels=28)
    testing.measure(report, device, models["tsm_r50"], side=256, views=(1, 4, 16, 64, 256), budget=1)
    decoding.measure(report, device, frames=128)
    decoding.measure_video(report, device, views_of(models["tsm_r50"], (256, 320)), frames=90)
    agreement.measure(report, device, models["tsm_demo"], (700, 180), seeds=2, workers=0)
    for name in MODELS:
        for last in (True, False):
            speed(name, Way("bf16", last, compile=True), 100)


def smoke(report: Report, device: torch.device) -> None:
    """The same functions at the least size."""
    model = settings()["tsm_demo"]
    once = dataclasses.replace(model, train=dataclasses.replace(model.train, epochs=1, batch=4))
    ceilings.measure(report, device, smoke=True)
    ceilings.convolution(report, device)
    for way in (Way("32"), Way("bf16", channels_last=True)):
        found = steps.measure(model, 2, way, device, peak=1e12, budget=0)
        report.add("training", model="tsm_demo", **dataclasses.asdict(way), **found)
    layers.measure(report, device, clips=1, pixels=7)
    testing.measure(report, device, model, side=40, views=(2,), budget=0)
    decoding.measure(report, device, frames=2)
    decoding.measure_video(report, device, views_of(model, (64,)), frames=3)
    agreement.measure(report, device, once, (8, 4), seeds=1, workers=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="folder of gpu.json")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--smoke", action="store_true", help="the least size")
    parser.add_argument("--minutes", type=float, default=9.0, help="after which nothing is begun")
    parser.add_argument("--compose", action="store_true", help=f"write {SETTINGS.name} from conf/")
    args = parser.parse_args()
    if args.compose:
        SETTINGS.write_text(composed(), encoding="utf-8")
        return
    if args.device == "cuda" and not torch.cuda.is_available():
        print("benchmarks/gpu.py needs a GPU, and here is none. (--smoke --device cpu shows whether it runs.)")
        return
    if args.out is not None:
        args.out.mkdir(parents=True, exist_ok=True)
    device, report = torch.device(args.device), Report(args.out, args.minutes)
    name = torch.cuda.get_device_name() if args.device == "cuda" else platform.processor() or platform.machine()
    versions = {"python": platform.python_version(), "torch": torch.__version__, "torchvision": torchvision.__version__}
    report.add("machine", device=name, cores=torch.get_num_threads(), timm=timm.__version__, **versions)
    (smoke if args.smoke else all_of_it)(report, device)


if __name__ == "__main__":
    main()
