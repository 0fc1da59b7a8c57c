import pytest

from pipeline.cli import compare
from pipeline.core.errors import UserError
from tests.support.command import call


def entry(metrics: dict | None) -> dict:
    return {"metrics": {} if metrics is None else {"data/metrics.json": {"data": metrics}}}


SHOWN = [
    {"rev": "workspace", "name": None, "data": entry({"ensemble": {"val": 1.0}}), "experiments": None},
    {
        "rev": "0123456789",
        "name": "main",
        "data": entry({"ensemble": {"val": 90.5}, "tsn": {"val_clip": 80.0}, "videos": {"val_n_broken": 2}}),
        "experiments": [
            {"name": "odd-name", "revs": [{"rev": "abcdef0123", "data": entry({"ensemble": {"val": 70.125}})}]},
            {"name": "queued", "revs": [{"rev": "1111111111", "data": entry(None)}]},
            {"name": "failed", "revs": [{"rev": "2222222222", "data": None}]},
        ],
    },
]


def test_a_column_is_an_experiment_and_a_row_a_figure():
    assert compare.table(SHOWN).splitlines() == [
        "| sample mAP, percent | workspace |  main | odd-name |",
        "|---------------------|----------:|------:|---------:|",
        "| ensemble val        |      1.00 | 90.50 |    70.12 |",
        "| tsn val_clip        |           | 80.00 |          |",
    ]


def test_experiments_without_figures_are_left_out():
    assert [name for name, _ in compare.columns(SHOWN)] == ["workspace", "main", "odd-name"]


def test_experiments_of_another_corpus_are_left_out_and_counted():
    mine = {"corpus": {"task": "single_label", "classes": "aaaa"}, "verdict": {"tsn_val": "chance"}}
    other = {"corpus": {"task": "multi_label", "classes": "b"}, "ensemble": {"val": 99.0}}
    shown = [
        {"rev": "workspace", "data": entry({**mine, "ensemble": {"val": 61.0}})},
        {
            "rev": "0123456789", "name": "main", "data": entry({"ensemble": {"val": 98.5}}),
            "experiments": [
                {"name": "own", "revs": [{"rev": "a", "data": entry({**mine, "ensemble": {"val": 55.0}})}]},
                {"name": "other", "revs": [{"rev": "b", "data": entry(other)}]},
            ],
        },
    ]  # fmt: skip
    assert compare.table(shown).splitlines() == [
        "| top-1 accuracy, percent | workspace |   own |",
        "|-------------------------|----------:|------:|",
        "| ensemble val            |     61.00 | 55.00 |",
        "Left out: 2 experiments of another corpus (classes or task differ).",
    ]


def test_an_experiment_is_named_by_what_was_set():
    def with_params(metrics: dict, **train: float) -> dict:
        return {**entry(metrics), "params": {"params.yaml": {"data": {"models": {"tsn": {"train": train}}}}}}

    experiments = [
        {"name": "odd-name", "revs": [{"rev": "a", "data": with_params({"ensemble": {"val": 1.0}}, lr=0.1, seed=0)}]},
        {"name": "same", "revs": [{"rev": "b", "data": with_params({"ensemble": {"val": 1.0}}, lr=0.2, seed=0)}]},
        {"name": "failed", "revs": [{"rev": "c", "data": None}]},
    ]
    main = {"rev": "0", "name": "main", "data": with_params({"ensemble": {"val": 2.0}}, lr=0.2, seed=0)}
    lines = list(compare.set_by([{**main, "experiments": experiments}]))
    assert lines == ["odd-name: train.lr 0.2 -> 0.1", "same: nothing was changed"]


def test_options_of_runs_without_a_run_are_refused():
    with pytest.raises(UserError, match="are for runs: name one, or two"):
        call("compare", "--split", "val")
