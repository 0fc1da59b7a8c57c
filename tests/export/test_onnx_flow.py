"""ONNX files of models that take flow, alone and fused: the answers of the models, from flow that is computed anew."""

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.clips import transforms
from pipeline.core.errors import UserError
from pipeline.export import graphs
from pipeline.flow import dis
from tests.export.conftest import change, write_ensemble
from tests.export.test_onnx import answered
from tests.support import checks
from tests.support.command import call
from tests.support.corpus import ffmpeg

pytestmark = pytest.mark.nightly


@pytest.fixture
def videos(clips, tmp_path) -> list[Path]:
    """A video that sounds, one that goes to the right and a little down, and one of a single frame."""
    ways = "testsrc2=s=160x96:r=30:d=1,scroll=h=-0.01:v=-0.004"
    ffmpeg(["-f", "lavfi", "-i", ways, str(tmp_path / "ways.mkv")])
    ffmpeg(["-f", "lavfi", "-i", "testsrc2=s=64x48:r=30:d=0.1", str(tmp_path / "one.mkv")])
    return [clips / "with_sound.mp4", tmp_path / "ways.mkv", tmp_path / "one.mkv"]


@pytest.mark.parametrize("arch", ["tsn", "tsm", "tin"])
def test_every_network_of_flow_answers_as_onnx_for_any_number_of_clips(arch, tmp_path):
    case = checks.Case(arch, {**checks.TINY_2D, "frames": 4, "input": "flow"}, 20)
    network, file = checks.settled(case.build()), tmp_path / "it.onnx"
    clips = checks.make_input((3, 2, 20, 32, 32))
    graphs.write_onnx(network, (clips[:2],), ["clips"], "logits", [{0: "clips"}], {}, file)

    answer = graphs.answers_of_onnx(file, threads=1)
    for batch in (1, 3):
        with torch.inference_mode():
            wanted = network(clips[:batch]).numpy()
        assert wanted.std(axis=1).min() > 1e-3
        np.testing.assert_allclose(answer((clips[:batch],)), wanted, rtol=0, atol=1e-4)
    assert graphs.session(file, threads=1).get_inputs()[0].shape == ["clips", 2, 20, 32, 32]


WRONG = {
    "y before x": (transforms, "decode", lambda decode: lambda *asked: decode(*asked).flip(1)),
    "mirrored": (transforms, "decode", lambda decode: lambda *asked: transforms.mirrored_flow(decode(*asked))),
    "x turned": (dis, "quantised", lambda quantised: lambda flow, bound: quantised(flow * [-1, 1], bound)),
    "another bound": (dis, "quantised", lambda quantised: lambda flow, bound: quantised(flow, bound / 2)),
}
"""What would be fed wrongly -> the function that does it then."""


def test_a_file_answers_as_its_model_whatever_params_says_of_flow(moving, videos, capsys, monkeypatch):
    call("export", "way", "--onnx")
    capsys.readouterr()
    wanted = answered(capsys, *videos, "--model", "way")
    change(moving, flow={"bound": 2.0, "short_side": None}, extract={"fps": 5})
    others = answered(capsys, *videos, "--model", "way")
    shutil.rmtree("data")
    ask = "--onnx", "export/way/way.onnx"

    found = answered(capsys, *videos, *ask)

    assert set(found) == {"with_sound.mp4", "ways.mkv"}
    for name, scores in wanted.items():
        assert found[name] == pytest.approx(scores, abs=1e-4)
    assert others["ways.mkv"] != pytest.approx(wanted["ways.mkv"], abs=0.01)
    for wrong, (owner, name, change_of) in WRONG.items():
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, change_of(getattr(owner, name)))
            fed = answered(capsys, videos[1], *ask)
        assert fed["ways.mkv"] != pytest.approx(wanted["ways.mkv"], abs=0.01), wrong


@pytest.mark.parametrize(
    ("mean", "members"),
    [
        ("probability", {"net": 0.3, "way": 0.7}),
        ("logit", {"net": 0.3, "way": 0.5, "ear": 0.2}),
        ("probability", {"net": 0.0, "way": 1.0}),
    ],
    ids=["two", "three kinds", "the other without weight"],
)
def test_new_videos_get_the_answers_of_an_ensemble_with_flow(hearing, moving, videos, capsys, mean, members):
    write_ensemble(moving, mean, members)
    call("export", "ensemble", "--onnx")
    capsys.readouterr()
    wanted = answered(capsys, *videos, "--model", "ensemble")
    shutil.rmtree("data")

    found = answered(capsys, *videos, "--onnx", "export/ensemble/ensemble.onnx")

    assert set(found) == set(wanted) == {"with_sound.mp4", "ways.mkv", "one.mkv"}
    for name, scores in wanted.items():
        assert found[name] == pytest.approx(scores, abs=1e-4)
    assert len({tuple(scores.values()) for scores in wanted.values()}) == len(wanted)


@pytest.mark.parametrize("model", ["way", "ensemble"])
def test_the_card_says_how_files_of_flow_are_run(moving, run_card, model):
    write_ensemble(moving, "probability", {"net": 0.3, "way": 0.7})
    call("export", model, "--onnx")
    folder = moving / "export" / model

    printed = run_card(folder)
    assert all(f"'{name}': np.float32(" in printed for name in ("blue", "green", "red"))
    assert "* levels of flow: 8 bits" in (folder / "README.md").read_text(encoding="utf-8")


def test_a_missing_opencv_and_flow_of_another_program_are_said(moving, videos, caplog, monkeypatch):
    change(moving, flow={"folder": "/their/tvl1"})
    call("export", "way", "--onnx")
    assert "flow.folder" not in caplog.text
    call("predict", videos[1], "--onnx", "export/way/way.onnx")
    assert "(flow.folder: tvl1); that of new videos is computed here" in caplog.text
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(UserError, match=r"Optical flow .*--constraint constraints.txt --editable '\.\[flow\]'"):
        call("predict", videos[1], "--onnx", "export/way/way.onnx")
