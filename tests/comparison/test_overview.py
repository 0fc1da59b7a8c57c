"""All experiments side by side, as `dvc exp show --json` tells of them."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from pipeline.comparison import overview
from tests.support import project
from tests.support.command import call


def entry(metrics: dict | None, train: dict | None = None, code: str = "a") -> dict:
    found = {"metrics": {} if metrics is None else {"data/metrics.json": {"data": metrics}}}
    found["deps"] = {"pipeline/core": {"hash": code}, "data/lmdb": {"hash": str(metrics)}}
    return found | ({"params": {"params.yaml": {"data": {"models": {"tsn": {"train": train}}}}}} if train else {})


def experiment(name: str, metrics: dict | None, *rest: object) -> dict:
    return {"name": name, "revs": [{"rev": f"{name}0123456789", "data": entry(metrics, *rest)}]}


def commit(*experiments: dict, train: dict | None = None) -> dict:
    return {"rev": "0", "name": "main", "data": entry({"tsn": {"val": 90.5}}, train), "experiments": [*experiments]}


SHOWN = [
    {"rev": "workspace", "name": None, "data": entry({"ensemble": {"val": 1.0}}), "experiments": None},
    {
        "rev": "0123456789",
        "name": "main",
        "data": entry({"ensemble": {"val": 90.5}, "tsn": {"val_clip": 80.0}, "videos": {"val_n_broken": 2}}),
        "experiments": [
            experiment("odd-name", {"ensemble": {"val": 70.125}}),
            experiment("queued", None),
            {"name": "failed", "revs": [{"rev": "2222222222", "data": None}]},
        ],
    },
]


def test_a_column_is_an_experiment_and_a_row_a_figure():
    assert overview.text(SHOWN).splitlines()[:4] == [
        "| sample mAP, percent | workspace |  main | odd-name |",
        "|---------------------|----------:|------:|---------:|",
        "| ensemble val        |      1.00 | 90.50 |    70.12 |",
        "| tsn val_clip        |           | 80.00 |          |",
    ]


def test_ends_of_intervals_are_no_rows():
    of = {"chance": {"val": 30.0, "val_low": 28.0, "val_high": 32.0}, "interval": {"tsn_val_clip_low": 79.0}}
    lines = overview.text([{"rev": "workspace", "data": entry(of)}]).splitlines()
    assert [line.split("|")[1].strip() for line in lines[2:]] == ["chance val"]


def test_experiments_without_figures_are_left_out():
    assert [one.head for one in overview.columns(SHOWN)] == ["workspace", "main", "odd-name"]
    assert overview.text([]).splitlines()[0] == "| sample mAP, percent |"


def test_experiments_of_another_corpus_are_left_out_and_counted():
    mine = {"corpus": {"task": "single_label", "classes": "aaaa"}, "verdict": {"tsn_val": "chance"}}
    other = {"corpus": {"task": "multi_label", "classes": "b"}, "ensemble": {"val": 99.0}}
    shown = [
        {"rev": "workspace", "data": entry({**mine, "ensemble": {"val": 61.0}})},
        {
            "rev": "0123456789", "name": "main", "data": entry({"ensemble": {"val": 98.5}}),
            "experiments": [experiment("own", {**mine, "ensemble": {"val": 55.0}}), experiment("other", other)],
        },
    ]  # fmt: skip
    assert overview.text(shown).splitlines()[:4] == [
        "| top-1 accuracy, percent | workspace |   own |",
        "|-------------------------|----------:|------:|",
        "| ensemble val            |     61.00 | 55.00 |",
        "Left out: 2 experiments of another corpus (classes or task differ).",
    ]


def test_an_experiment_is_named_by_what_was_set():
    experiments = [
        experiment("odd-name", {"tsn": {"val": 1.0}}, dict(lr=0.1, seed=0)),
        experiment("same", {"tsn": {"val": 1.0}}, dict(lr=0.2, seed=0)),
        {"name": "failed", "revs": [{"rev": "c", "data": None}]},
    ]
    lines = overview.text([commit(*experiments, train=dict(lr=0.2, seed=0))]).splitlines()
    assert lines[-2:] == ["odd-name: train.lr 0.2 -> 0.1", "same: nothing was changed"]


def test_seeds_of_one_setting_are_one_column_with_mean_and_spread():
    seeds = [experiment(f"lr{n}", {"tsn": {"val": v}}, dict(lr=1.0, seed=n)) for n, v in enumerate([80.0, 84.0, 82.0])]
    plain = [experiment(f"own{n}", {"tsn": {"val": v}}, dict(lr=0.1, seed=n)) for n, v in enumerate([70.0, 71.0])]
    lines = overview.text([commit(*seeds[:2], *plain, seeds[2], train=dict(lr=0.1, seed=0))]).splitlines()
    assert lines == [
        "| sample mAP, percent |  main |      lr0 x3 |     own0 x2 |",
        "|---------------------|------:|------------:|------------:|",
        "| tsn val             | 90.50 | 82.00 ±2.00 | 70.50 ±0.71 |",
        "lr0, lr1, lr2: train.lr 0.1 -> 1.0, 3 seeds",
        "own0, own1: 2 seeds",
        "Several seeds are one column: their mean, and ± their standard deviation.",
    ]


@pytest.mark.parametrize(
    "other",
    [
        (dict(lr=1.0, seed=1), "b"),  # other code
        (dict(lr=1.0, seed=0), "a"),  # the same settings once more
        (dict(lr=2.0, seed=1), "a"),
        (None, "a"),  # nobody knows
    ],
)
def test_what_differs_in_more_or_less_than_seeds_is_a_column_of_its_own(other):
    found = commit(
        experiment("one", {"tsn": {"val": 80.0}}, dict(lr=1.0, seed=0)),
        experiment("two", {"tsn": {"val": 90.0}}, *other),
        train=dict(lr=0.1, seed=0),
    )
    assert [one.head for one in overview.columns([found])] == ["main", "one", "two"]


@pytest.mark.parametrize("width", [80, 120])
def test_many_experiments_stand_below_each_other_within_the_terminal(width):
    many = [
        experiment(f"slimy-cony{n}", {"tsn": {"val": float(n)}}, dict(lr=n + 1.0, sides=[64] * 30)) for n in range(20)
    ]
    text = overview.text([commit(*many, train=dict(lr=0.5, sides=[80]))], width)
    assert max(map(len, text.splitlines())) <= width
    heads = [line for line in text.splitlines() if line.startswith("| sample mAP")]
    assert len(heads) > 2
    assert [name.strip() for head in heads for name in head.split("|")[2:-1]] == [
        "main",
        *(f"slimy-cony{n}" for n in range(20)),
    ]
    values = [line for line in text.splitlines() if line.startswith("| tsn val")]
    assert [float(cell) for line in values for cell in line.split("|")[2:-1]] == [90.5, *map(float, range(20))]


STAGES = """
stages:
  answer:
    cmd: python answer.py
    deps: [answer.py]
    params: [models]
    metrics: [data/metrics.json: {cache: false}]
"""
ANSWER = """
import json, pathlib, yaml
train = yaml.safe_load(open("params.yaml"))["models"]["tsn"]["train"]
pathlib.Path("data").mkdir(exist_ok=True)
figures = {"tsn": {"val": 80 + 10 * train["lr"] + train["seed"]}}
pathlib.Path("data/metrics.json").write_text(json.dumps(figures))
"""


def run(root: Path, *commands: Sequence[str]) -> None:
    for command in commands:
        project.run([*command], root)


@pytest.mark.slow
def test_seeds_that_dvc_ran_are_one_column(tmp_path, monkeypatch, capsys):
    dvc = [sys.executable, "-m", "dvc"]
    run(tmp_path, ["git", "init", "-q", "-b", "main"], [*dvc, "init", "-q"])
    (tmp_path / "dvc.yaml").write_text(STAGES)
    (tmp_path / "answer.py").write_text(ANSWER)
    (tmp_path / "params.yaml").write_text(json.dumps({"models": {"tsn": {"train": {"lr": 0.5, "seed": 0}}}}))
    run(tmp_path, ["git", "config", "user.name", "a"], ["git", "config", "user.email", "a@b.c"], [*dvc, "repro"])
    run(tmp_path, ["git", "add", "--all"], ["git", "commit", "-q", "-m", "One"])
    for seed in range(2):
        of = ["-S", "models.tsn.train.lr=1.0", "-S", f"models.tsn.train.seed={seed}"]
        run(tmp_path, [*dvc, "exp", "run", "-n", f"s{seed}", *of])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    call("compare")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "| sample mAP, percent | workspace |  main |       s1 x2 |"
    assert lines[2] == "| tsn val             |     91.00 | 85.00 | 90.50 ±0.71 |"
    assert lines[3] == "s1, s0: train.lr 0.5 -> 1.0, 2 seeds"


def test_seeds_of_another_corpus_are_not_of_the_mean():
    def of(classes: str, value: float) -> dict:
        return {"corpus": {"task": "multi_label", "classes": classes}, "ensemble": {"val": value}}

    one, other = (
        experiment(f"seed-{n}", of(classes, value), {"seed": n, "lr": 0.1})
        for n, (classes, value) in enumerate([("a", 60.0), ("b", 90.0)])
    )
    shown = [{"rev": "0", "name": "main", "data": entry(of("a", 50.0)), "experiments": [one, other]}]
    lines = overview.text(shown).splitlines()
    assert lines[0].split("|")[2:4] == ["  main ", " seed-0 "]
    assert lines[2].split("|")[2:4] == [" 50.00 ", "  60.00 "]
    assert lines[3] == "Left out: 1 experiment of another corpus (classes or task differ)."
