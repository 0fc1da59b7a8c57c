"""What README says of numbers and commands is what the committed results and the project say."""

import json
import re
from pathlib import Path

import pytest

from pipeline.predictions.table import RESERVED_NAMES

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
RESULTS = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
METRICS = json.loads((ROOT / "data" / "metrics.json").read_text())
MODELS = sorted(set(METRICS) - set(RESERVED_NAMES))


def row(page: str, name: str) -> list[str]:
    """The numbers of the first table row that starts with `name`."""
    line = next(line for line in page.splitlines() if line.startswith(f"| {name} "))
    return re.findall(r"\d+\.\d\d", line)


def test_it_is_read_in_a_few_minutes():
    assert len((ROOT / "README.md").read_bytes()) <= 8192


@pytest.mark.parametrize("page", [README, RESULTS], ids=["README", "results"])
def test_the_table_of_models_is_the_committed_metrics(page):
    assert set(re.findall(r"^\| (\w+_demo) +\|", README, re.MULTILINE)) == set(MODELS)
    columns = [f"{split}_{protocol}" for split in ("val", "test") for protocol in ("clip", "dense", "multiscale")]
    for model in MODELS:
        assert row(page, model) == [f"{METRICS[model][column]:.2f}" for column in columns]
    assert row(page, "class prior") == [f"{METRICS['prior'][split]:.2f}" for split in ("val", "test") for _ in range(3)]


def test_the_ensemble_is_that_of_the_committed_metrics():
    used = [f"{METRICS['ensemble'][split]:.2f}" for split in ("val", "test")]
    intervals = METRICS["interval"]
    ends = {
        name: [f"{intervals[f'ensemble_{name}_{end}']:.2f}" for end in ("low", "high")] for name in METRICS["ensemble"]
    }
    assert row(README, "the ensemble") == used
    assert row(RESULTS, "weights used") == [used[0], *ends["val"], used[1], *ends["test"]]
    crossfit = f"{METRICS['ensemble']['val_crossfit']:.2f}"
    assert row(RESULTS, "cross-fitted: each") == [crossfit, *ends["val_crossfit"]]
    assert f"cross-fitted it has {crossfit}" in README


def test_the_models_that_see_order_are_above_tsn_and_tsn_above_the_prior():
    for split in ("val", "test"):
        tsn = METRICS["tsn_demo"][f"{split}_clip"]
        assert tsn > METRICS["prior"][split] + 20
        for model in ("tsm_demo", "tin_demo", "slowfast_demo"):
            assert METRICS[model][f"{split}_clip"] > tsn + 2


def test_it_says_which_metric_of_the_library_sample_map_is():
    for page in (README, RESULTS):
        assert "label_ranking_average_precision_score" in page


def test_the_picture_is_small():
    assert (ROOT / "docs" / "images" / "report.png").stat().st_size < 200_000


def test_the_gate_runs_the_command_that_it_gives_for_the_tests():
    assert "\n    make test " in README
    assert (ROOT / ".ci" / "run").read_text().splitlines()[-1] == "make test"
