"""ONNX files through onnxruntime, which `make nightly` installs: they answer as the networks do, alone and fused."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.cli.main import main
from pipeline.core import registry
from pipeline.core.errors import UserError
from pipeline.core.task import MULTI_LABEL, SINGLE_LABEL
from pipeline.export import description, folder, graphs
from pipeline.export.description import FusionDescription, MemberFile
from pipeline.export.fusion import Fusion
from pipeline.export.spectrogram import HeardNetwork, SoundGraph
from pipeline.models import audio_cnn
from tests.cli.test_predict import project as trained  # noqa: F401 - a fixture
from tests.export.conftest import write_ensemble
from tests.export.test_fusion import by_the_stages
from tests.models.test_every_model import CASES, VARIANTS
from tests.support import checks
from tests.support.command import call

pytestmark = pytest.mark.nightly


def said(capsys, *arguments) -> list[dict[str, object]]:
    """The lines of JSON that `pipeline predict` answers with."""
    assert main(["predict", *map(str, arguments), "--json"]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.fixture
def here(trained, tmp_path, monkeypatch) -> Path:  # noqa: F811 - the fixture
    """A copy of a project with two trained models and an ensemble; the test runs in it."""
    shutil.copytree(trained, tmp_path / "project")
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project"


def test_every_family_is_tried():
    assert sorted(CASES) == registry.names("models")


@pytest.mark.parametrize("case", (CASES | VARIANTS).values(), ids=CASES | VARIANTS)
def test_every_network_answers_as_onnx_for_any_number_of_clips(case, tmp_path):
    network, file = checks.settled(case.build()), tmp_path / "it.onnx"
    graphs.write_onnx(network, (case.clips(2),), ["clips"], "logits", [{0: "clips"}], {"model": '"it"'}, file)

    answer = graphs.answers_of_onnx(file, threads=1)
    for batch in (1, 3):
        clips = case.clips(batch)
        with torch.inference_mode():
            wanted = network(clips).numpy()
        assert wanted.std(axis=1).min() > 1e-3
        np.testing.assert_allclose(answer((clips,)), wanted, rtol=0, atol=1e-4)
    assert [path.name for path in tmp_path.iterdir()] == ["it.onnx"]
    session = graphs.session(file, threads=1)
    assert session.get_modelmeta().custom_metadata_map["model"] == '"it"'
    assert session.get_inputs()[0].shape == ["clips", *case.clips(1).shape[1:]]


@pytest.mark.parametrize("task", [MULTI_LABEL, SINGLE_LABEL])
@pytest.mark.parametrize("mean", ["probability", "logit"])
def test_the_fusion_answers_as_the_stages_do(task, mean, tmp_path):
    weights, rng = np.array([[0.2, 0.5, 0.9], [0.8, 0.5, 0.1]]), np.random.default_rng(0)
    members = tuple(MemberFile(name, f"{name}.onnx", "0") for name in ("net", "other"))
    told = FusionDescription(members, tuple(map(tuple, weights.tolist())), mean, "dense", task, ("a", "b", "c"))
    folder._write_fusion(Fusion(weights, mean, task), told, tmp_path / "it.onnx", 1)

    logits = [(4 * rng.normal(size=(5, views, 3))).astype(np.float16) for views in (1, 6)]
    answer = graphs.answers_of_onnx(tmp_path / "it.onnx", 1)
    found = answer(tuple(torch.tensor(own.astype(np.float32)) for own in logits))
    np.testing.assert_allclose(found, by_the_stages(logits, weights, mean, task), rtol=0, atol=1e-6)
    metadata = graphs.session(tmp_path / "it.onnx", 1).get_modelmeta().custom_metadata_map
    assert description.read(FusionDescription, metadata, "it") == told


@pytest.mark.parametrize("mean", ["probability", "logit"])
def test_the_fusion_of_members_that_hear_leaves_them_out_as_the_stages_do(mean, tmp_path):
    weights, rng = np.array([[0.2, 0.0, 0.9], [0.8, 1.0, 0.1]]), np.random.default_rng(0)
    members = tuple(
        MemberFile(name, f"{name}.onnx", "0", "sound" if name == "ear" else "frames") for name in ("net", "ear")
    )
    told = FusionDescription(members, tuple(map(tuple, weights.tolist())), mean, "dense", MULTI_LABEL, ("a", "b", "c"))
    folder._write_fusion(Fusion(weights, mean, MULTI_LABEL, partial=True), told, tmp_path / "it.onnx", 1)

    sees = np.array([[True, True], [True, False], [False, True], [True, True], [True, False]])
    logits = [(4 * rng.normal(size=(5, views, 3))).astype(np.float16) for views in (1, 6)]
    answer = graphs.answers_of_onnx(tmp_path / "it.onnx", 1)
    found = answer((torch.from_numpy(sees), *(torch.tensor(own.astype(np.float32)) for own in logits)))
    np.testing.assert_allclose(found, by_the_stages(logits, weights, mean, MULTI_LABEL, sees.T), rtol=0, atol=1e-6)
    names = [node.name for node in graphs.session(tmp_path / "it.onnx", 1).get_inputs()]
    assert names == ["sees", "net", "ear"]


def test_an_ensemble_of_ranks_is_refused_before_anything_is_said_to_begin(project, capsys):
    write_ensemble(project, "rank", {"net": 0.6, "other": 0.4})
    with pytest.raises(UserError, match="averages on the scale 'rank'"):
        call("export", "ensemble", "--onnx")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("model", ["net", "ensemble"])
def test_new_videos_get_the_answers_of_the_model(here, clips, capsys, model):
    assert call("export", model, "--onnx") is None
    capsys.readouterr()
    videos = [clips / "vp9.webm", clips / "h264.mp4", clips / "upright.mp4"]
    wanted = said(capsys, *videos, "--model", model)
    shutil.move("export", "moved")
    shutil.rmtree("data")

    found = said(capsys, *videos, "--onnx", f"moved/{model}/{model}.onnx")

    assert [answer["video"] for answer in found] == [str(video) for video in videos]
    for one, other in zip(found, wanted, strict=True):
        assert one["scores"] == pytest.approx(other["scores"], abs=1e-4)
    timeline = ("--window", "0.5", "--onnx", f"moved/{model}/{model}.onnx")
    assert said(capsys, videos[0], *timeline)[0]["start"] == 0


def answered(capsys, *arguments) -> dict[str, dict[str, float]]:
    """The scores of `pipeline predict` by file, whatever its exit status."""
    main(["predict", *map(str, arguments), "--json"])
    lines = map(json.loads, capsys.readouterr().out.splitlines())
    return {Path(line["video"]).name: line["scores"] for line in lines}


@pytest.mark.parametrize(
    ("mean", "members"),
    [
        ("probability", {"net": 0.3, "ear": 0.7}),
        ("logit", {"net": 0.3, "other": 0.1, "ear": 0.6}),
        ("probability", {"net": 0.0, "other": 0.0, "ear": 1.0}),
        ("probability", {"ear": 1.0}),
    ],
    ids=["two", "three", "others without weight", "alone"],
)
def test_new_videos_get_the_answers_of_an_ensemble_that_hears(hearing, clips, capsys, mean, members):
    write_ensemble(hearing, mean, members)
    assert call("export", "ensemble", "--onnx") is None
    capsys.readouterr()
    videos = [clips / "with_sound.mp4", clips / "vp9.webm"]
    wanted = answered(capsys, *videos, "--model", "ensemble")
    shutil.rmtree("data")

    found = answered(capsys, *videos, "--onnx", "export/ensemble/ensemble.onnx")

    assert set(found) == set(wanted) == ({"with_sound.mp4"} if len(members) == 1 else {"with_sound.mp4", "vp9.webm"})
    for name, scores in wanted.items():
        assert found[name] == pytest.approx(scores, abs=1e-4)
    assert len({tuple(scores.values()) for scores in wanted.values()}) == len(wanted)


def test_a_file_that_hears_answers_as_its_model(hearing, clips, capsys, monkeypatch):
    call("export", "ear", "--onnx")
    capsys.readouterr()
    videos = [clips / "with_sound.mp4", clips / "vp9.webm"]
    wanted = answered(capsys, *videos, "--model", "ear")
    found = answered(capsys, *videos, "--onnx", "export/ear/ear.onnx")
    assert set(found) == {"with_sound.mp4"}
    assert found["with_sound.mp4"] == pytest.approx(wanted["with_sound.mp4"], abs=1e-4)


@pytest.mark.parametrize("model", ["ear", "ensemble"])
def test_the_card_says_how_files_that_hear_are_run(hearing, run_card, model):
    write_ensemble(hearing, "probability", {"net": 0.3, "ear": 0.7})
    call("export", model, "--onnx")

    printed = run_card(hearing / "export" / model)
    assert all(f"'{name}': np.float32(" in printed for name in ("blue", "green", "red"))


@pytest.mark.parametrize("samples", [6_400, 6_479])
@pytest.mark.parametrize("name", ["audio_cnn", "ast"])
def test_every_network_that_hears_answers_as_onnx_with_its_image(name, samples, tmp_path):
    network = checks.settled(CASES[name].build())
    spec = getattr(network, "hears", audio_cnn.INPUT)
    graph, heard = SoundGraph(network, spec, samples).eval(), HeardNetwork(network, spec)
    noise = torch.randint(-(2**15), 2**15, (3, samples), generator=torch.Generator().manual_seed(0))
    sounds = (noise * torch.tensor([[1.0], [0.01], [0.0]])).to(torch.int16)
    graphs.write_onnx(graph, (sounds[:2],), ["sounds"], "logits", [{0: "clips"}], {}, tmp_path / "it.onnx")

    answer = graphs.answers_of_onnx(tmp_path / "it.onnx", 1)
    assert graphs.compare(answer, heard, [(sounds[:1],), (sounds,)], "It") < 1e-4
    assert heard(sounds).std(dim=0).max() > 1e-3


@pytest.mark.parametrize(("model", "suffixes"), [("net", ["--onnx", "--torch"]), ("ensemble", ["--onnx"])])
def test_the_card_says_how_the_files_are_run(here, run_card, model, suffixes):
    call("export", model, *suffixes)
    folder = here / "export" / model

    printed = run_card(folder)
    assert all(f"'{name}': np.float32(" in printed for name in ("blue", "green", "red"))
    text = (folder / "README.md").read_text(encoding="utf-8")
    listed = {line.split("`")[1] for line in text.splitlines() if line.startswith("| `")}
    assert listed == {path.name for path in folder.iterdir()} - {"README.md", "SHA256SUMS"}


@pytest.mark.parametrize("model", ["net", "ensemble"])
def test_a_model_of_differences_answers_and_its_card_runs(differing, clips, capsys, run_card, model):
    write_ensemble(differing, "probability", {"net": 0.6, "other": 0.4})
    call("export", model, "--onnx")
    capsys.readouterr()
    (wanted,) = said(capsys, clips / "vp9.webm", "--model", model)
    (found,) = said(capsys, clips / "vp9.webm", "--onnx", f"export/{model}/{model}.onnx")
    assert found["scores"] == pytest.approx(wanted["scores"], abs=1e-4)
    assert "'blue': np.float32(" in run_card(differing / "export" / model)


def test_a_member_of_another_export_is_refused(here, clips):
    call("export", "ensemble", "--onnx")
    shutil.copy("export/ensemble/net.onnx", "export/ensemble/other.onnx")

    with pytest.raises(UserError, match=r"other\.onnx is not the member that export/ensemble/ensemble\.onnx"):
        call("predict", clips / "vp9.webm", "--onnx", "export/ensemble/ensemble.onnx")


def test_weights_that_one_file_cannot_hold_lie_in_a_second(here, clips, capsys, monkeypatch):
    monkeypatch.setattr(graphs, "ONE_FILE", graphs._GRAPH)
    call("export", "net", "--onnx")
    capsys.readouterr()

    assert {"net.onnx", "net.onnx.data"} < {path.name for path in Path("export/net").iterdir()}
    found, wanted = (
        said(capsys, clips / "vp9.webm", *asked)[0]["scores"]
        for asked in (("--onnx", "export/net/net.onnx"), ("--model", "net"))
    )
    assert found == pytest.approx(wanted, abs=1e-4)


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("gone.onnx", r"gone\.onnx does not exist\. `pipeline export MODEL --onnx` makes such a file"),
        ("params.yaml", r"params\.yaml is no file that onnxruntime .* reads"),
    ],
)
def test_what_is_no_such_file_is_a_message(here, clips, file, message):
    with pytest.raises(UserError, match=message):
        call("predict", clips / "vp9.webm", "--onnx", file)


def test_a_network_of_one_size_alone_is_refused_where_the_views_have_several(tmp_path):
    case = CASES["probe"]
    network, file = checks.settled(case.build()), tmp_path / "it.onnx"
    axes = {0: "clips", 3: "height", 4: "width"}
    graphs.write_onnx(network, (case.clips(2),), ["clips"], "logits", [axes], {}, file)

    tried = [(checks.clips(1, case.frames, size),) for size in (32, 40)]
    with pytest.raises(UserError, match="It differs from the network by .* for inputs of 1x3x4x40x40"):
        graphs.compare(graphs.answers_of_onnx(file, 1), network, tried, "It")
