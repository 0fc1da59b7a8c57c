"""Stages as commands, run by hand."""

import runpy
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import stages.features
from pipeline.cli import compose
from pipeline.training.frozen_config import EncoderConfig, ProbeConfig

ROOT = Path(__file__).parents[1]
STAGES = sorted(file.stem for file in (ROOT / "stages").glob("*.py") if file.stem not in {"__init__", "command"})


def run(stage: str, *arguments: str, folder: Path = ROOT, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", f"stages.{stage}", *arguments]
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), **variables}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("stage", STAGES)
def test_help_says_what_it_does_and_shows_a_call(stage, monkeypatch, capsys):
    """As `python -m` runs the file, but in this process: one of its own takes seconds to import PyTorch."""
    file = ROOT / "stages" / f"{stage}.py"
    monkeypatch.setattr(sys, "argv", [str(file), "--help"])
    with pytest.raises(SystemExit, match="0"):
        runpy.run_path(str(file), run_name="__main__")
    said = capsys.readouterr().out
    assert f"Stage `{stage}`" in said
    assert f"python -m stages.{stage} " in said


def test_a_missing_argument_is_named():
    done = run("pack", "data/frames")
    assert done.returncode == 2
    assert "lmdb" in done.stderr


def test_what_the_user_can_mend_is_one_message_without_a_traceback(tmp_path):
    done = run("pack", "nowhere", "out", folder=tmp_path)
    assert done.returncode == 1
    assert (
        done.stderr
        == "error: params.yaml does not exist. Run this in the project's root; `pipeline params` writes the file.\n"
    )


def test_a_manifest_that_is_not_there_names_the_stage_that_makes_it(tmp_path):
    done = run("stats", "manifest.tsv", "classes.txt", "broken.tsv", "stats", folder=tmp_path)
    assert done.returncode == 1
    assert "classes.txt does not exist. `dvc repro index` makes it." in done.stderr
    assert not (tmp_path / "stats").exists()


def test_a_wrong_ffmpeg_is_named_before_any_work(tmp_path):
    text = (ROOT / "params.yaml").read_text().replace("ffmpeg: null", "ffmpeg: /no/such/ffmpeg")
    (tmp_path / "params.yaml").write_text(text)
    done = run("demo", "demo", folder=tmp_path)
    assert done.returncode == 1
    assert "FFmpeg does not run" in done.stderr
    assert "machine.ffmpeg" in done.stderr
    assert not (tmp_path / "demo").exists()


@pytest.mark.parametrize("together", ["true", "false"])
def test_a_model_that_is_not_in_the_set_is_named_with_those_that_are(tmp_path, together):
    text = (ROOT / "params.yaml").read_text().replace("together: false", f"together: {together}")
    (tmp_path / "params.yaml").write_text(text)
    paths = ("manifest", "classes", "lmdb", "sound", "flow", "stats", "weights", "out")
    done = run("infer", "tsm_demoo", *paths, folder=tmp_path)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "params.yaml has no section 'models.tsm_demoo'. Did you mean 'tsm_demo'? There are: " in done.stderr


def test_the_check_alone_says_that_params_differ_from_conf(tmp_path):
    (tmp_path / "conf").symlink_to(ROOT / "conf")
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text().replace("fps: 30", "fps: 0"))
    outs = {"check": ("a", "b", "c"), "pack": ("a", "b")}
    said = {stage: run(stage, *named, folder=tmp_path).stderr for stage, named in outs.items()}
    assert "params.yaml differs from conf/ as it stands in 1 of its settings: extract.fps=0" in said["check"]
    assert "differs" not in said["pack"]


def test_the_way_back_from_an_experiment_is_named_where_it_ran_in_place_and_not_in_a_copy(tmp_path):
    copy = tmp_path / ".dvc" / "tmp" / "exps" / "queued"
    copy.mkdir(parents=True)
    in_place, queued = (run("pack", "a", "b", folder=here, DVC_EXP_NAME="cagey-rits") for here in (tmp_path, copy))
    assert "`git restore params.yaml dvc.lock data/metrics.json && dvc checkout`" in in_place.stderr
    assert queued.stderr.startswith("error: ")
    assert "git restore" not in queued.stderr


@pytest.mark.parametrize(("model", "kind"), [("probe", ProbeConfig), ("encoder_lite0", EncoderConfig)])
def test_features_are_computed_for_every_frozen_network(model, kind, tmp_path, monkeypatch):
    asked = []

    class Asked(Exception):
        pass

    def frozen(config, classes):
        asked.append((type(config), classes))
        raise Asked

    (tmp_path / "params.yaml").write_text(compose.text(ROOT / "conf", [f"model={model}"]))
    (tmp_path / "classes.txt").write_text("a\nb\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(stages.features, "frozen", frozen)
    monkeypatch.setattr(stages.features, "FrameStore", lambda _: {})
    monkeypatch.setattr(stages.features.Manifest, "read", lambda *_: SimpleNamespace(classes=("a", "b")))
    with pytest.raises(Asked):
        stages.features.main(model, *map(Path, ("manifest", "classes", "groups", "lmdb", "weights", "out")))
    assert asked == [(kind, 2)]
