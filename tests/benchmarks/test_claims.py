"""`make claims`: its arithmetic is right, each claim comes out as a row, and a project of a seed has what it should."""

import importlib
import itertools
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from sklearn.metrics import label_ranking_average_precision_score

from pipeline.comparison.paired import Difference
from pipeline.core.errors import UserError
from pipeline.layers.normalize import InputSpec
from pipeline.predictions.table import PredictionTable
from pipeline.pretrained.load import load_pretrained
from pipeline.runtime.checkpoint import Checkpoint
from tests.support import finished

ROOT = Path(__file__).parents[2]
CLAIMS = ROOT / "benchmarks" / "claims"


@pytest.fixture(scope="module")
def script():
    """Imports a file of the folder, which is no package, by its name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(CLAIMS))
        yield importlib.import_module


@pytest.fixture(scope="module")
def plan(script):
    return script("plan").Plan.read(quick=True)


@pytest.fixture(scope="module")
def settings(plan):
    """All settings of each seed."""
    return {seed: plan.settings(ROOT / "conf", seed, {"tsm_demo"}) for seed in plan.seeds}


@pytest.fixture(scope="module")
def projects(settings, tmp_path_factory):
    """A folder for each seed with made-up answers of all models in place of those of trainings."""
    folder = tmp_path_factory.mktemp("claims")
    for seed, told in settings.items():
        ensemble = told["ensemble"] | {"weights": "fitted", "mean": "logit", "starts": 1, "resamples": 9}
        (folder / f"{seed}").mkdir()
        (folder / f"{seed}" / "params.yaml").write_text(yaml.safe_dump({**told, "ensemble": ensemble}))
        finished.run(folder / f"{seed}" / "data", members=tuple(told["models"]), videos=20 + seed)
    return [folder / f"{seed}" for seed in settings]


@pytest.fixture(scope="module")
def evidence(script, projects):
    return [script("evidence").SeedEvidence(folder) for folder in projects]


class Shares:
    """Evidence whose shares are known."""

    def __init__(self, **shares):
        self.shares = shares.__getitem__


def resampled(differences):
    """Mean and 95 % interval of the mean over videos, by a loop over resamples and videos."""
    rng, means = np.random.default_rng(0), []
    for _ in range(1000):
        drawn = rng.integers(len(differences), size=len(differences))
        means.append(100 * sum(differences[video] for video in drawn) / len(differences))
    means.sort()
    ends = []
    for place in (0.025 * 999, 0.975 * 999):
        low = int(place)
        ends.append(means[low] + (place - low) * (means[low + 1] - means[low]))
    return [100 * sum(differences) / len(differences), *ends]


def test_differences_and_intervals_are_those_of_a_loop(script):
    rng = np.random.default_rng(5)
    sides = [(rng.random(9), rng.random(9)), (rng.random(7), rng.random(7))]
    claim = script("plan").Claim("b beats a", of="b", against="a")
    found = script("evidence").Finding.of(claim, [Shares(a=a, b=b) for a, b in sides])
    for one, (a, b) in zip(found.seeds, sides, strict=True):
        assert [one.value, one.low, one.high] == pytest.approx(resampled([y - x for x, y in zip(a, b, strict=True)]))
    everything = [y - x for a, b in sides for x, y in zip(a, b, strict=True)]
    together = found.together
    assert [together.value, together.low, together.high] == pytest.approx(resampled(everything))


@pytest.mark.parametrize(
    ("seeds", "together", "verdict"),
    [
        ([(1, 3), (0.1, 2)], (0.5, 2), "holds"),
        ([(1, 3), (0, 2)], (0.5, 2), "holds on average"),
        ([(1, 3), (-2, 2)], (0.5, 2), "holds on average"),
        ([(1, 3), (-2, -0.1)], (0.5, 2), "does not show"),
        ([(1, 3), (-2, 2)], (0, 2), "does not show"),
        ([(-3, 1), (-2, 2)], (-2, 0), "does not show"),
        ([(-3, 1), (-2, 2)], (-2, -0.1), "contrary"),
        ([(-3, -1), (-2, -1)], (-2, -1), "contrary"),
    ],
)
def test_the_verdict_follows_the_rule(script, seeds, together, verdict):
    low_high = [Difference((low + high) / 2, low, high) for low, high in (*seeds, together)]
    assert script("evidence").judge(low_high[:-1], low_high[-1]) == verdict


def test_each_claim_and_each_variant_is_a_row_with_its_figures(script, plan, evidence):
    page = script("claims_page").text(plan, evidence, "the command", 90.0)
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines() if line.startswith("| ")]
    told = [row for row in rows if len(row) == 4 + len(plan.seeds) and row[0] != "claim"]
    assert [row[0] for row in told] == [claim.claim for claim in plan.claims]
    assert {row[-1] for row in told} <= {name for name, _ in script("evidence").RULE}
    assert all(
        re.fullmatch(r"[+-]?\d+\.\d\d \(-?\d+\.\d\d to -?\d+\.\d\d\)", cell) for row in told for cell in row[2:-1]
    )
    figures = {row[0]: row[1:] for row in rows if len(row) == 2 + len(plan.seeds)}
    assert {*evidence[0].answers.views, "all", "best of all", "visual", "image_based", "mean of visual, clip"} < {
        *figures
    }
    assert all(f"* `{name}`: `tsm_demo`: " in page for name in plan.variants)
    assert "    the command\n" in page
    assert "2 CPU minutes in all" in page


def test_figures_are_those_of_scikit_learn(evidence):
    for one in evidence:
        answers, targets = one.answers, one.answers.any_table.targets()
        expected = {
            f"tin_demo@{protocol}": answers.views["tin_demo"].probabilities(protocol) for protocol in ("clip", "dense")
        } | {"all": one.fused("all")[0], "tsm_x1": answers.tables["tsm_x1"].probabilities}
        for side, scores in expected.items():
            assert one.shares(side).mean() == pytest.approx(label_ranking_average_precision_score(targets, scores))
        seeing = [one.shares(f"{member}@dense") for member in ("tsn_demo", "tsm_demo", "tin_demo", "slowfast_demo")]
        np.testing.assert_allclose(one.shares("mean of visual@dense"), np.mean(seeing, axis=0))
        everyone = [*seeing, one.shares("audio_demo@dense")]
        np.testing.assert_allclose(one.shares("mean of all@dense"), np.mean(everyone, axis=0))


def test_the_best_member_is_the_best_on_val_of_its_ensemble(evidence):
    one = evidence[0]
    val = {}
    for member in one.config.members:
        table = PredictionTable.read(one.data / "predictions" / member / "val.parquet")
        val[member] = label_ranking_average_precision_score(table.targets(), table.probabilities)
    assert one.fused("all")[1] == max(val, key=val.get)
    assert one.fused("visual")[1] == max(set(val) - {"audio_demo"}, key=val.get)
    image = set(val) - {"audio_demo", "slowfast_demo"}
    assert one.fused("image_based")[1] == max(image, key=val.get)
    np.testing.assert_array_equal(one.shares("best of all"), one.shares(max(val, key=val.get)))


@pytest.mark.parametrize("side", ["tsm_dema", "best of all_of_them", "mean of visuals@clip", "slowfast_based"])
def test_a_side_that_is_none_is_named(evidence, side):
    with pytest.raises(UserError, match=repr(side.split(" of ")[-1].split("@")[0])):
        evidence[0].shares(side)


def test_a_variant_differs_in_what_it_says_and_in_nothing_else(settings):
    models = settings[1]["models"]
    base = models["tsm_demo"]

    def changed(name):
        def leaves(node, path=()):
            if isinstance(node, dict) and node:
                return dict(itertools.chain(*(leaves(node[key], (*path, key)).items() for key in node)))
            return {".".join(path): node}

        one, other = leaves(base), leaves(models[name])
        return {key: other[key] for key in other if one[key] != other[key]}

    assert changed("tsm_16f") == {"options.frames": 16, "clip.sampler.frames": 16}
    assert changed("tsm_x1_rate") == {"train.loss.options.bce.scale": 1.0, "train.optim.lr": pytest.approx(0.8)}
    assert changed("tsm_linear") == {"train.loss.options.bce.class_weights": "linear"}
    file = "starts/tsm_demo/model.safetensors"
    assert changed("tsm_pretrained") == {"train.pretrained": file, "watch": file}
    assert {model["train"]["seed"] for model in models.values()} == {1}
    assert settings[1]["demo"]["seed"] == 1
    assert settings[1]["ensemble"]["members"] == ["tsn_demo", "tsm_demo", "tin_demo", "slowfast_demo", "audio_demo"]


def test_a_quarter_of_the_epochs_is_whole(script):
    plan = script("plan").Plan.read()
    models = plan.settings(ROOT / "conf", 2, ())["models"]
    assert models["tsm_short"]["train"]["epochs"] == round(models["tsm_demo"]["train"]["epochs"] / 4)
    assert "tsm_pretrained" not in models, "its start is not there yet"
    assert [plan.next(seed) for seed in plan.seeds] == [*plan.seeds[1:], plan.seeds[0]]


def test_what_does_not_fit_conf_is_named(script):
    module = script("plan")
    models = {"a": {"train": {"epochs": 4}}}
    with pytest.raises(UserError, match=r"no model has the setting 'train.epoch'"):
        module.Variant("a", set={"train.epoch": 1}).section(models)
    with pytest.raises(UserError, match="no model 'b'"):
        module.Variant("b").section(models)
    with pytest.raises(UserError, match="demo.trains"):
        module.Plan.read(overrides=["demo.trains=3"]).settings(ROOT / "conf", 0, ())


def test_a_start_has_the_other_seeds_weights_and_no_class_of_the_corpus(script, settings, tmp_path):
    one, other = (script("seed_project").SeedProject(tmp_path, seed) for seed in (0, 1))
    assert not one.take_start("tsm_demo", other)
    build = importlib.import_module("pipeline.models.tsm").build
    options = settings[1]["models"]["tsm_demo"]["options"]
    theirs, ours = build(3, **options), build(3, **options)
    classes, spec = ("blue", "green", "red"), InputSpec((0, 0, 0), (1, 1, 1))
    weights = {name: torch.full_like(value, 0.5) for name, value in theirs.state_dict().items()}
    Checkpoint(weights, {}, classes, spec).write(other.data / "models" / "tsm_demo")
    assert one.take_start("tsm_demo", other)
    before = {name: value.clone() for name, value in ours.state_dict().items()}
    load_pretrained(ours, one.folder / "starts" / "tsm_demo" / "model.safetensors", classes=classes)
    for name, value in ours.state_dict().items():
        expected = before[name] if name.startswith("classifier") else weights[name]
        assert torch.equal(value, expected), name


def test_the_code_is_copied_anew_and_what_was_computed_stays(script, tmp_path):
    source, project = tmp_path / "source", script("seed_project").SeedProject(tmp_path, 3)
    for name in (
        "dvc.yaml",
        "pipeline/a.py",
        "pipeline/b.py",
        "tests/c.py",
        "data/metrics.json",
        "dvc.lock",
        ".dvc/config",
    ):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(name)
    subprocess.run(["git", "init", "-q"], cwd=source, check=True)
    project.copy_code(source)
    (project.data / "models").mkdir(parents=True)
    (project.folder / "dvc.lock").write_text("of this seed")
    (source / "pipeline/a.py").unlink()
    (source / "pipeline/b.py").write_text("new")
    project.copy_code(source)
    copied = {str(path.relative_to(project.folder)) for path in project.folder.rglob("*") if ".git/" not in str(path)}
    assert copied == {
        ".git", ".dvc", ".dvc/config", "data", "data/models", "dvc.lock", "dvc.yaml", "pipeline", "pipeline/b.py",
    }  # fmt: skip
    assert (project.folder / "pipeline/b.py").read_text() == "new"
    assert (project.folder / "dvc.lock").read_text() == "of this seed"


@pytest.mark.nightly
@pytest.mark.timeout(3600)  # 24 trainings, each in a process of its own
def test_the_whole_of_it_runs_and_runs_once(tmp_path):
    command = [sys.executable, CLAIMS / "measure.py", "--quick", "--work", tmp_path / "work"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    first, second = (
        subprocess.run(command, capture_output=True, encoding="utf-8", env=environment, check=False) for _ in range(2)
    )
    assert first.returncode == 0, first.stdout + first.stderr
    assert second.returncode == 0, second.stdout + second.stderr
    page = (tmp_path / "work" / "claims.md").read_text()
    claims = yaml.safe_load((CLAIMS / "claims.yaml").read_text())["claims"]
    assert re.findall(r"^\| (.*?) +\| .* to ", page, re.MULTILINE) == [claim["claim"] for claim in claims]
    ran = re.findall(r": (\S+)$", second.stdout, re.MULTILINE)
    assert set(ran) == {"index"}, "the stage that always looks at the corpus, and nothing else"
