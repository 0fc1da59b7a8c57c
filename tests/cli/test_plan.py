"""`pipeline plan`: figures that can be checked by hand, and that it runs from nothing to the table."""

import json
from argparse import Namespace
from dataclasses import replace

import pytest
import yaml

from pipeline.cli import compose, planner, rates
from pipeline.cli.planner import Hardware, ModelCost, row, time
from pipeline.cli.rates import Corpus, Rates
from pipeline.core import params
from pipeline.core.errors import UserError
from pipeline.core.machine import Machine
from pipeline.core.manifest import Manifest, VideoRecord
from tests.support import tiny_flow
from tests.support.checks import CONF
from tests.support.command import call

CORPUS = Corpus(train=900, held_out=100, classes=10, seconds=2.0, width=64, height=48, at_hand=None)
RATES = Rates(
    seconds=2.0, frame_bytes=10_000, smaller_share=0.0, extracted=100, packed=1e6,
    decoded={"frames": 500, "flow": 250}, loaded={"a": 5.0}, flops={"a": 6e9}, test_flops={"a": 4e9},
    measured_on={"a": "a"}, source="two clips", device="the CPU",
)  # fmt: skip
MODEL = ModelCost(
    name="a", clips=9000, gmacs=0.5, view_gmacs=4.0, views=8, takes="frames", decoded=100, checkpoint=4_000
)
SETTINGS = {"extract": {"fps": 30, "keep": True}, "pack": {"short_sides": [320]}}
HERE = Hardware(cores=2, devices=1, tflops=None, frame_bytes=None)


def test_a_models_hours_are_its_operations_over_the_rate():
    """Training: 9,000 clips of 3 x 1 GFLOP at 6 GFLOP/s; testing: 100 videos of 8 GFLOP at 4 GFLOP/s."""
    assert row(MODEL, CORPUS, RATES, HERE) == ["a", "9,000", "0.5", "75 min", "15 min", "8", "3 min", "10 s"]


def test_flow_is_decoded_at_its_own_rate():
    """100 videos of 100 flows at 250 a second on two cores."""
    assert row(replace(MODEL, takes="flow"), CORPUS, RATES, HERE)[-1] == "20 s"


def test_a_flow_is_one_though_it_is_two_pictures(tmp_path, monkeypatch):
    """32 flows in each of 8 rounds, in two seconds of CPU time."""
    monkeypatch.setattr(rates, "cpu_seconds", iter([5.0, 7.0]).__next__)
    assert rates._decoded(tiny_flow.corpus(tmp_path)[1]) == 128


def test_two_devices_of_a_given_speed_take_half_the_time_of_one():
    given = Hardware(cores=20, devices=2, tflops=0.006, frame_bytes=None)
    assert row(MODEL, CORPUS, RATES, given) == ["a", "9,000", "0.5", "38 min", "2 min", "8", "67 s", "1 s"]


def test_features_of_frozen_networks_take_disk_for_every_video(monkeypatch):
    """1,000 videos of 1 MiB; and of encoder_lite0 16 frames of 1,280 numbers of two bytes."""
    monkeypatch.setattr(planner, "costs", lambda *_: [replace(MODEL, features=2**20)])
    text = "\n".join(planner.lines(SETTINGS, CORPUS, RATES, HERE))
    rows = {line.split("|")[1].strip(): line.split("|")[2].strip() for line in text.splitlines() if "|" in line}
    assert (rows["features of frozen networks"], rows["all"]) == ("1,000.0 MiB", "2.1 GiB")


@pytest.mark.slow
def test_what_a_frozen_network_keeps_of_a_video_is_counted():
    composed = yaml.safe_load(compose.text(CONF, ["model=[encoder_lite0,tsn_lite0]", "dataset=folder"]))
    found = {each.name: each.features for each in planner.costs(composed, CORPUS)}
    assert found == {"encoder_lite0": 16 * 1280 * 2, "tsn_lite0": 0}


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.4, "0 s"), (89, "89 s"), (120, "2 min"), (7200, "2.0 h"), (864_000, "10.0 days")]
)
def test_a_time_is_said_as_a_person_says_it(seconds, said):
    assert time(seconds) == said


@pytest.mark.parametrize(
    ("keep", "times", "all_of_it", "copies"), [(True, 2, "1.1 GiB", "three"), (False, 1, "572.2 MiB", "four")]
)
def test_disk_and_stages_by_hand(monkeypatch, keep, times, all_of_it, copies):
    """1,000 videos of 60 frames of 10 kB are 600 MB, twice; 60,000 frames take two cores 300 s, 600 MB as long."""
    monkeypatch.setattr(planner, "costs", lambda *_: [MODEL])
    settings = SETTINGS | {"extract": {"fps": 30, "keep": keep}}
    text = "\n".join(planner.lines(settings, CORPUS, RATES, HERE))
    assert "900 train and 100 other videos of 2.0 s: 60,000 frames, 10.0 kB each" in text
    frames = [line for line in text.splitlines() if line.startswith("| frames: ")]
    assert [line.split("|")[2].strip() for line in frames] == ["572.2 MiB"] * times
    assert f"a file system that cannot link holds each {copies} times." in text
    stages = {line.split("|")[1].strip(): line.split("|")[2].strip() for line in text.splitlines() if "|" in line}
    assert stages["extract"] == stages["pack"] == "5 min"
    assert stages["all"] == all_of_it
    assert "weights of 1 model" in stages
    assert stages["reading or writing all frames once, at 1 GB/s"] == "1 s"
    assert (
        "predictions: logits of each view, tables |  27.3 KiB" in text
    )  # 100 videos x 10 classes x (8 x 2 + 12) bytes


def test_flow_and_sound_have_their_rows(monkeypatch):
    """60,000 flows of 5 kB at 25 a second on two cores: 300 MB, 20 min; 2,000 s of sound at 10 s a second: 100 s."""
    monkeypatch.setattr(planner, "costs", lambda *_: [MODEL])
    sensing = SETTINGS | {"flow": {"by": ["dis"], "folder": None}, "sound": ["mono"]}
    rates = replace(RATES, flowed=25.0, flow_bytes=5000.0, heard=10.0)
    text = "\n".join(planner.lines(sensing, CORPUS, rates, HERE))
    rows = {line.split("|")[1].strip(): line.split("|")[2].strip() for line in text.splitlines() if "|" in line}
    assert (rows["flow"], rows["flow: LMDB"], rows["sound"]) == ("20 min", "286.1 MiB", "2 min")
    assert rows["all"] == "1.5 GiB"  # frames twice, 300 MB of flow and 64 MB of sound
    assert "Flow: 25 frames a second on a core, 5.0 kB a frame; a core decodes 250 flows a second." in text
    imported = sensing | {"flow": {"by": ["dis"], "folder": "theirs"}}
    assert "\n".join(planner.lines(imported, CORPUS, rates, HERE)) == text  # the rate is that of taking it over


def test_smaller_sizes_take_their_measured_share_of_the_disk(monkeypatch):
    """A quarter of 600 MB."""
    monkeypatch.setattr(planner, "costs", lambda *_: [MODEL])
    both = SETTINGS | {"pack": {"short_sides": [320, 160]}}
    text = "\n".join(planner.lines(both, CORPUS, replace(RATES, smaller_share=0.25), HERE))
    disk = dict(line.strip("| ").split("|") for line in text.splitlines() if "iB" in line)
    sizes = {name.strip(): size.strip() for name, size in disk.items()}
    assert sizes["frames: LMDB, short side 160"] == "143.1 MiB"
    assert sizes["all"] == "1.3 GiB"  # 2.25 times 600 MB


def test_a_given_size_of_a_frame_replaces_the_measured_one(monkeypatch):
    monkeypatch.setattr(planner, "costs", lambda *_: [MODEL])
    given = Hardware(cores=2, devices=1, tflops=1.0, frame_bytes=20_000)
    text = "\n".join(planner.lines(SETTINGS, CORPUS, RATES, given))
    assert "20.0 kB each" in text
    assert "The size of a frame is as given." in text
    assert "1 TFLOP/s a device, as given" in text


def test_held_out_videos_follow_the_shares_or_are_given():
    args = Namespace(videos=200, held_out=None, classes=3, seconds=3.0, width=4, height=4)
    settings = {"dataset": {"val_share": 0.1, "test_share": 0.2}}
    assert planner.described(args, settings).held_out == 60
    args.held_out = 7
    assert planner.described(args, settings).train == 193
    args.held_out = 200
    with pytest.raises(UserError, match="--held-out 200 leaves no train video of 200"):
        planner.described(args, settings)


def test_gpus_without_their_speed_are_refused():
    with pytest.raises(UserError, match="--gpus needs --tflops"):
        call("plan", "--videos", "10", "--gpus", "8")


@pytest.mark.slow
def test_from_nothing_to_the_table_and_the_rates_are_kept(tmp_path, capsys):
    """Models of the demo for a corpus that is not there: measured once, read the second time."""
    asked = [
        "plan", "model=[tsn_demo,tsm_demo,slowfast_demo]", "dataset=folder", f"machine.scratch={tmp_path}",
        "--videos", "100", "--seconds", "0.5", "--width", "64", "--height", "48",
    ]  # fmt: skip
    call(*asked)
    first = capsys.readouterr().out
    call(*asked)
    assert capsys.readouterr().out == first
    (kept,) = (tmp_path / "plan").glob("*.json")
    found = json.loads(kept.read_text())
    assert set(found["flops"]) == {"tsn_demo", "tsm_demo", "slowfast_demo"}
    assert found["seconds"] == 0.5
    assert min(found[name] for name in ("frame_bytes", "extracted", "packed")) > 0
    assert set(found["decoded"]) == {"frames", "sound"}
    assert found["decoded"]["frames"] > 0
    assert found["measured_on"]["tsm_demo"] == found["measured_on"]["tsn_demo"]  # both over images
    assert found["measured_on"]["slowfast_demo"] == "slowfast_demo"
    assert "| slowfast_demo |" in first


@pytest.mark.slow
def test_flow_and_sound_are_measured_on_made_clips(tmp_path, capsys):
    call(
        "plan", "model=[tsn_flow_demo,audio_demo]", "dataset=folder", f"machine.scratch={tmp_path}", "--videos", "100",
        "--seconds", "0.5", "--width", "64", "--height", "48",
    )  # fmt: skip
    (kept,) = (tmp_path / "plan").glob("*.json")
    found = json.loads(kept.read_text())
    assert 0 < found["heard"] < float("inf")
    assert 0 < found["flowed"] < float("inf")
    assert 100 < found["flow_bytes"] < 20_000
    assert found["loaded"]["tsn_flow_demo"] > 0
    assert found["decoded"]["flow"] > 0
    text = capsys.readouterr().out
    assert "| flow " in text
    assert "| sound " in text


def test_settings_are_those_of_params_unless_there_are_overrides(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text(yaml.safe_dump({"models": {}}))
    assert rates.settings([]) == {"models": {}}


def test_some_videos_of_every_split():
    splits = ["val"] * 2 + ["test"] + ["train"] * 27
    records = [VideoRecord(f"{n:02}", split, f"{n:02}.mp4", "run", "1-a") for n, split in enumerate(splits)]
    chosen = rates._some(Manifest.from_records(records, ("run",)))
    assert chosen.videos == ["00", "01", "02", "03", "11", "20", "29"]  # both of val, the one of test, four of train


def test_an_ffmpeg_that_makes_no_clip_is_told_by_its_words(tmp_path):
    machine = params.load("machine", Machine)
    with pytest.raises(UserError, match=r"makes no clip of 100000x100000 pixels: .*[Ii]nvalid"):
        rates._made(tmp_path, replace(CORPUS, width=100_000, height=100_000), machine)
