"""What only a GPU can show: the same answers as on a CPU, copies beside the computation, and no waiting for a step.

    python -m pytest -m gpu

Where PyTorch sees no GPU these tests are left out, and the run says so. TF32 is off, so what differs in float32 is the
order of sums.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.clips.dataset import decode_video
from pipeline.clips.device_decoding import DeviceDecoder, read_video
from pipeline.core import registry
from pipeline.inference.predictor import Predictor
from pipeline.runtime import distributed
from pipeline.runtime.transfer import Download, Upload
from pipeline.training.config import LossConfig
from tests.models.test_every_model import ALL
from tests.support import inference, pictures, tiny

pytestmark = pytest.mark.gpu

LOSSES = [name for name in registry.names("losses") if name != "auto"]
GPU = {"accelerator": "gpu", "devices": 1}
NETWORKS = {
    "tsn": ({}, 2),
    "tsm": ({"shift_div": 4}, 4),
    "tin": ({"shift_div": 2}, 4),
    "trn": ({}, 4),
}
"""Architecture -> options besides those of the tiny network, and frames."""


@contextmanager
def waiting_is_an_error() -> Iterator[None]:
    """Within the block, PyTorch raises where the host waits for the GPU."""
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("name", ALL)
def test_a_model_says_on_a_gpu_what_it_says_on_a_cpu(name: str):
    case = ALL[name]
    torch.backends.cudnn.allow_tf32 = False
    torch.set_float32_matmul_precision("highest")
    model, clips = case.build().eval(), case.clips(2)
    with torch.inference_mode():
        expected = model(clips)
        found = model.cuda()(clips.cuda()).cpu()
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3 * float(expected.abs().max()))


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("arch", NETWORKS)
def test_no_step_of_training_waits_for_the_gpu(tmp_path: Path, arch: str, loss: str):
    options, frames = NETWORKS[arch]
    config = tiny.model(batch=4, ema=0.9, loss=LossConfig(loss, {}))
    config = type(config)(arch, tiny.SMALL_NET | {"frames": frames} | options, config.clip, config.train)
    step, pieces = tiny.train_step(tmp_path, config, **GPU), tiny.pieces(2, frames, pin=True)
    step(pieces, 0.01, 0).read()  # what is made once: constants, cuDNN's handles
    with waiting_is_an_error():
        outcomes = [step(pieces, 0.01, number) for number in range(1, 4)]
    assert all(np.isfinite(outcome.read()[0]["loss"]) for outcome in outcomes)


def test_the_check_of_waiting_sees_it():
    number = torch.ones((), device="cuda")
    with waiting_is_an_error(), pytest.raises(RuntimeError, match="synchroniz"):
        float(number)


@pytest.mark.parametrize(
    ("settings", "tolerance"),
    [({}, 1e-3), ({"channels_last": True}, 1e-3), ({"tf32": True}, 0.02), ({"precision": "bf16"}, 0.05)],
    ids=str,
)
def test_the_losses_of_the_first_steps_are_those_of_a_cpu(tmp_path: Path, settings: dict, tolerance: float):
    config = tiny.model(batch=4)
    config.options["dropout"] = 0.0

    def losses(name: str, **machine: object) -> list[float]:
        step = tiny.train_step(tmp_path / name, config, **machine)
        return [step(tiny.pieces(2), 0.01, number).read()[0] for number in range(4)]

    assert losses("gpu", **GPU | settings) == pytest.approx(losses("cpu"), rel=tolerance)


def test_batches_arrive_whole_while_the_gpu_computes():
    upload = Upload(torch.device("cuda"))
    busy = torch.randn(2048, 2048, device="cuda")
    sent = [torch.full((1 << 22,), number % 251, dtype=torch.uint8).pin_memory() for number in range(32)]
    found = []
    for clip in sent:
        busy = (busy @ busy).tanh()
        found.append(Download(upload(clip).double().mean()[None]))
    assert [float(answer.read()) for answer in found] == [number % 251 for number in range(32)]


def test_the_order_of_a_batch_s_bytes_is_kept_on_the_way():
    clips = torch.randint(0, 256, (2, 4, 8, 8, 3), dtype=torch.uint8).pin_memory().permute(0, 4, 1, 2, 3)
    arrived = Upload(torch.device("cuda"))(clips)
    assert arrived.stride() == clips.stride()
    assert torch.equal(arrived.cpu(), clips)


def test_a_gpu_decodes_and_resizes_frames_to_nearly_the_pixels_of_a_cpu():
    source = pictures.Frames(6, 96, 128)
    by_cpu = decode_video(source, "a", [pictures.SPEC])
    decode = DeviceDecoder(source, torch.device("cuda"))
    by_gpu = decode(read_video(source, "a", [pictures.SPEC]))
    assert by_gpu.crops == by_cpu.crops
    for side, frames in by_cpu.frames.items():
        apart = (by_gpu.frames[side].cpu().int() - frames.int()).abs().float()
        assert apart.mean() <= 2, "colours of 4:2:0 are spread by another filter"
        assert apart.max() <= 24


@pytest.mark.parametrize("number", [1, 3])
def test_the_scores_of_videos_in_shared_passes_are_those_of_a_cpu(tmp_path: Path, number: int):
    folder = tmp_path / "net"
    inference.write_model(folder, seed=0)
    _, store, _ = tiny.corpus(tmp_path / "lmdb")
    scores = {}
    for name, settings in {"cpu": {}, "gpu": GPU}.items():
        machine = tiny.machine(tmp_path / "work", **settings)
        fabric = distributed.launch(machine)
        predictor = Predictor(folder, inference.VIEWS, fabric, machine)
        decoded = [decode_video(store, f"val{k}", [predictor.view_spec]).to(fabric.device) for k in range(number)]
        videos = [(video.frames, video.crops[0]) for video in decoded]
        if name == "gpu":
            predictor.score(videos).read()  # what is made once
            with waiting_is_an_error():
                predictor.score(videos)
        scores[name] = predictor.score(videos).read().astype(np.float32)
    np.testing.assert_allclose(scores["gpu"], scores["cpu"], atol=2e-2)
