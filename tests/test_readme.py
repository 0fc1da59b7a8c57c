"""What README says of figures and commands is what the committed results and the Makefile say."""

import json
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def row(name: str) -> list[str]:
    """The figures of the table row that starts with `name`."""
    (line,) = (line for line in README.splitlines() if line.startswith(f"| {name}"))
    return re.findall(r"\d+\.\d\d", line)


def test_the_tables_are_the_committed_metrics():
    metrics = json.loads((ROOT / "data" / "metrics.json").read_text())
    members = set(metrics) - {"prior", "ensemble", "videos"}
    assert members == {"tsn_demo", "tsm_demo", "tin_demo", "slowfast_demo"}
    for member in members:
        order = [f"{split}_{protocol}" for split in ("val", "test") for protocol in ("clip", "dense", "multiscale")]
        assert row(member) == [f"{metrics[member][key]:.2f}" for key in order]
    assert row("class prior") == [f"{metrics['prior'][split]:.2f}" for split in ("val", "test") for _ in range(3)]
    assert row("weights used") == [f"{metrics['ensemble'][key]:.2f}" for key in ("val", "test")]
    assert row("cross-fitted") == [f"{metrics['ensemble']['val_crossfit']:.2f}"]


def test_the_models_that_see_order_are_above_tsn_and_tsn_above_the_prior():
    metrics = json.loads((ROOT / "data" / "metrics.json").read_text())
    for split in ("val", "test"):
        tsn = metrics["tsn_demo"][f"{split}_clip"]
        assert tsn > metrics["prior"][split] + 20
        for model in ("tsm_demo", "tin_demo", "slowfast_demo"):
            assert metrics[model][f"{split}_clip"] > tsn + 2


def test_every_make_target_that_it_names_exists():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    named = set(re.findall(r"(?:`|&& |^    )make ([a-z]+)", README, re.MULTILINE))
    assert named
    assert named <= targets


def test_the_gate_runs_the_command_that_it_gives_for_the_tests():
    assert "\n    make test " in README
    assert (ROOT / ".ci" / "run").read_text().splitlines()[-1] == "make test"


def test_every_model_and_set_that_it_names_exists():
    known = {file.stem for file in (ROOT / "conf" / "model").glob("*.yaml")}
    named = re.findall(r"model=([a-z0-9_]+)", README) + re.findall(r"^\| `(\w+)`", README, re.MULTILINE)
    assert set(named) <= known
