from pipeline.cli import compare


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
        "| mAP, percent | workspace |  main | odd-name |",
        "|--------------|----------:|------:|---------:|",
        "| ensemble val |      1.00 | 90.50 |    70.12 |",
        "| tsn val_clip |           | 80.00 |          |",
    ]


def test_experiments_without_figures_are_left_out():
    assert [name for name, _ in compare.columns(SHOWN)] == ["workspace", "main", "odd-name"]
