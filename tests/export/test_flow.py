"""Models of flow as files: what they say of flow, and what they are fed; test_onnx_flow.py has the answers."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from pipeline.cli.new_videos import Scorer
from pipeline.clips import jpeg
from pipeline.clips.short_sides import PackConfig
from pipeline.core.errors import UserError
from pipeline.core.machine import load_machine
from pipeline.core.task import MULTI_LABEL
from pipeline.export import card, description, folder, snippets
from pipeline.export.description import FlowDescription, FusionDescription, MemberFile
from pipeline.export.figures import Figures
from pipeline.extraction.config import ExtractConfig
from pipeline.flow import dis
from pipeline.flow.config import FlowConfig
from pipeline.layers import frame_input
from pipeline.layers.normalize import InputSpec
from tests.export.conftest import change
from tests.support import checks, tiny, tiny_flow
from tests.support.command import call

FLOW = FlowConfig(by=("dis",), preset="medium", short_side=40, bound=4.0, quality=95, folder=None)
NOTHING = Figures("sample mAP", (), {})


@pytest.fixture
def told(moving) -> FlowDescription:
    scorer = Scorer("way", moving / "data", load_machine())
    made = ExtractConfig(10, 48, 2, 60, 1), PackConfig((48, 32))
    return description.of(scorer.members[0].predictor, *made, scorer.flow)


def test_a_file_says_how_flow_is_made(told):
    assert (told.takes, told.flow, told.planes, told.sampler.consecutive) == ("flow", FLOW, ("x", "y"), 5)
    assert (told.input, told.crops) == (InputSpec((0.5, 0.5), (0.226, 0.226)), (32,))
    assert description.read_model(description.entries(told), "it") == told
    turned = description.entries(told) | {"planes": '["y", "x"]'}
    with pytest.raises(UserError, match=r"it\.planes\[0\]: must be one of 'x', not 'y'"):
        description.read_model(turned, "it")


def test_of_a_folder_of_flow_it_says_the_name_alone(told, moving):
    change(moving, flow={"folder": "/home/of/a/person/tvl1"})
    scorer = Scorer("way", moving / "data", load_machine())
    found = description.of(scorer.members[0].predictor, told.extract, told.pack, scorer.flow)
    assert found == replace(told, flow=replace(FLOW, folder="tvl1"))
    text = card.of_model(found, {}, NOTHING, {".onnx": 0.0})
    assert "another program has computed (a folder `tvl1`)" in text
    assert "`pipeline predict` computes instead" in text
    assert "another program" not in card.of_model(told, {}, NOTHING, {".onnx": 0.0})


def test_the_card_says_what_a_clip_of_flow_is(told):
    text = card.of_model(told, {"data": {"flow": "f1", "labels": "l1"}}, NOTHING, {".onnx": 0.0})

    assert text.startswith("# way\n\nA classifier of the optical flow of videos: a network `tsn`")
    assert "* frames: extracted at 10 a second, with a short side of at most 48 pixels\n" in text
    assert "in grey, with a short side of at most 40 pixels, by OpenCV's dense inverse search (`medium`" in text
    assert "8 bits, 128 plus 31.875 for each pixel, rounded, and cut beyond 4 pixels; a grey JPEG of quality 95" in text
    assert "* clip: 10 flows, 5 consecutive ones of each of 2 equal parts of the video\n" in text
    assert "* values: levels / 255, minus [0.5, 0.5], divided by [0.226, 0.226]" in text
    assert "* layout: float32 (clips, 2: x, y, 10, height, width)" in text
    assert "Fingerprints of its flow and labels: f1, l1." in text


def test_the_cards_flow_is_that_of_the_stage(told):
    frames = [np.ascontiguousarray(frame[..., 0]) for frame in tiny_flow.moving(2, 1, 2)]
    code = snippets.of_model(told, "way.onnx").split("grey = ")[0].split("std = ")[1].split("\n", 1)[1]
    names = {"told": {"flow": {"bound": 4.0}}, "np": np}
    exec("import cv2\n" + code, names)  # noqa: S102 - what a reader would paste

    found = names["flow"](*frames)

    exact = replace(FLOW, short_side=None, quality=100)
    stored = dis.flow_of(
        [jpeg.simplejpeg.encode_jpeg(frame[..., None], 100, "GRAY", "Gray") for frame in frames], exact
    )
    wanted = jpeg.decode_all(stored.jpegs, 0, "GRAY")[..., 0]
    assert found.dtype == np.uint8
    assert [round(float(np.median(plane))) for plane in found] == [192, 160]  # 128 + (2, 1) x 31.875
    assert np.median(np.abs(found.astype(int) - wanted)) <= 1


def test_the_card_of_an_ensemble_says_who_takes_what(told):
    kinds = {"net": "frames", "way": "flow", "ear": "sound"}
    members = tuple(MemberFile(name, f"{name}.onnx", "0", takes) for name, takes in kinds.items())
    fused = FusionDescription(members, ((0.5,),) * 3, "probability", "dense", MULTI_LABEL, ("a",))
    text = card.of_ensemble(fused, [told], {name: {} for name in kinds}, NOTHING, dict.fromkeys([*kinds, "it.onnx"], 0))

    where = "in a video without flow, as one of a single frame, for `way` and in a video without sound, for `ear`"
    assert f"`sees` (videos, members) is false {where}: the logits" in text
    assert "Of `way`; the metadata of others that take flow have theirs.\n\n* frames: extracted at 10" in text
    compile(text.split("```python\n")[1].split("```")[0], "card", "exec")


@pytest.mark.parametrize("kind", ["flow", "rgb_difference", "rgb"])
def test_what_is_tried_has_the_frames_and_planes_of_the_network(told, kind):
    looked = frame_input.KINDS[kind]
    sampler = replace(told.sampler, consecutive=looked.consecutive)
    spec = looked.pixels or InputSpec((0.5,) * 3, (0.5,) * 3)
    case = checks.Case("tsn", {**checks.TINY_2D, "input": kind}, 2 * looked.consecutive)
    clips = folder._clips(replace(told, sampler=sampler, input=spec), 2, 32)
    assert clips.shape == (2, frame_input.PLANES[looked.takes], 2 * looked.consecutive, 32, 32)
    assert case.build().eval()(clips).shape == (2, checks.CLASSES)


@pytest.mark.slow
def test_a_program_of_a_model_of_flow_needs_no_opencv_to_be_written(moving, monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    assert call("export", "way", "--torch") is None

    extra = {"description.json": ""}
    program = torch.export.load("export/way/way.pt2", extra_files=extra).module()
    network = Scorer("way", moving / "data", load_machine()).members[0].predictor.network
    levels = torch.randint(0, 256, (4, 2, 10, 32, 32), generator=torch.Generator().manual_seed(0))
    for batch in (1, 4):
        clips = (levels[:batch] / 255 - 0.5) / 0.226
        assert network(clips).std() > 0.01
        torch.testing.assert_close(program(clips), network(clips), rtol=0, atol=1e-5)
    said = {key: json.dumps(value) for key, value in json.loads(extra["description.json"]).items()}
    assert description.read_model(said, "it").flow == FLOW
    assert set(tiny.COLOURS) == set(json.loads(said["classes"]))
