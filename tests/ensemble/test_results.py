from pipeline import verdict
from pipeline.chance import Chance
from pipeline.core import files
from pipeline.core.markdown import text_table
from pipeline.core.task import MULTI_LABEL
from pipeline.ensemble.results import CHOICE, Estimate, Results
from pipeline.ensemble.verdicts import SplitVerdicts
from pipeline.verdict import Verdict

RANDOM = Chance(40.0, 30.0, 50.0, 5.0)


def judged(figure: float = 71.0) -> SplitVerdicts:
    models = tuple(Verdict(name, "val", MULTI_LABEL, figure, RANDOM, RANDOM) for name in ("tsn", "the ensemble"))
    return SplitVerdicts("val", 10, RANDOM, (41.0, 31.0, 51.0), models, 12.4)


def estimates(*values: float) -> dict[str, Estimate]:
    """By protocol, each with an interval of one point to either side."""
    return {p: Estimate(v, v - 1, v + 1) for p, v in zip(("clip", "dense", "multiscale"), values, strict=True)}


def results(**changes) -> Results:
    values = dict(
        task=MULTI_LABEL,
        classes=("a", "b"),
        denominators={"val": {"n_expected": 10, "n_scored": 9, "n_broken": 1}},
        verdicts={"val": judged()},
        members={
            "tsn": {"val": estimates(60.0, 61.5, 62.25)},
            "tin": {"val": estimates(50.0, 51.5, 52.25)},
        },
        ensembles={
            "uniform": {"val": Estimate(70.0, 69.0, 71.0)},
            "used": {"val": Estimate(72.0, 71.0, 72.5)},
            "cross-fitted": {"val": Estimate(71.0, 70.0, 72.0)},
            "choice": {"val": Estimate(70.5, 69.5, 71.5)},
        },
        kind="fitted, of logit",
        selected=False,
        member_weights={"tsn": 0.75, "tin": 0.25},
        best_member="tsn",
        worth={"tsn": None, "tin": None},
        rows=[a_row()],
        left_out=[],
    )
    return Results(**(values | changes))


def test_the_flat_form_has_two_levels_and_short_names():
    assert results().flat() == {
        "chance": {"val": 40.0, "val_low": 30.0, "val_high": 50.0},
        "prior": {"val": 41.0, "val_low": 31.0, "val_high": 51.0},
        "ensemble": {"val": 72.0, "val_crossfit": 71.0, "val_choice": 70.5},
        "tsn": {"val_clip": 60.0, "val_dense": 61.5, "val_multiscale": 62.25},
        "tin": {"val_clip": 50.0, "val_dense": 51.5, "val_multiscale": 52.25},
        "interval": {
            "tsn_val_clip_low": 59.0, "tsn_val_clip_high": 61.0, "tsn_val_dense_low": 60.5, "tsn_val_dense_high": 62.5,
            "tsn_val_multiscale_low": 61.25, "tsn_val_multiscale_high": 63.25,
            "tin_val_clip_low": 49.0, "tin_val_clip_high": 51.0, "tin_val_dense_low": 50.5, "tin_val_dense_high": 52.5,
            "tin_val_multiscale_low": 51.25, "tin_val_multiscale_high": 53.25,
            "ensemble_val_low": 71.0, "ensemble_val_high": 72.5,
            "ensemble_val_crossfit_low": 70.0, "ensemble_val_crossfit_high": 72.0,
            "ensemble_val_choice_low": 69.5, "ensemble_val_choice_high": 71.5,
        },
        "verdict": {"tsn_val": "better", "ensemble_val": "better"},
        "videos": {"val_n_expected": 10, "val_n_scored": 9, "val_n_broken": 1},
        "corpus": {"task": "multi_label", "classes": files.fingerprint(("a", "b"))},
    }  # fmt: skip


def test_the_tables_show_the_prior_each_member_by_protocol_and_the_ensembles():
    lines = results().markdown("Results").splitlines()
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line.startswith("|")]
    assert ["random answers", *["40.00"] * 3] in cells
    assert ["random answers", *["30.00 to 50.00"] * 3] in cells
    assert ["class prior", *["41.00"] * 3] in cells
    assert ["class prior", *["31.00 to 51.00"] * 3] in cells
    assert ["tin", "49.00 to 51.00", "50.50 to 52.50", "51.25 to 53.25"] in cells
    assert ["tsn", "60.00", "61.50", "62.25"] in cells
    assert any(line.startswith("| cross-fitted") and line.endswith("| 71.00 (70.00 to 72.00) |") for line in lines)
    assert "* val: 10 videos, 1 of them broken and answered with the class prior" in lines
    assert "Weights used (fitted, of logit): tsn 0.75, tin 0.25." in lines


def test_a_split_without_labels_has_a_denominator_and_no_metric():
    counts = {"n_expected": 3, "n_scored": 3, "n_broken": 0}
    text = results(denominators={"val": counts, "test": counts}).markdown("Results")
    assert "* test: 3 videos, 0 of them broken and answered with the class prior; nobody labelled them" in text
    assert "test clip" not in text


def test_columns_line_up_with_the_first_to_the_left():
    assert text_table(["name", "x"], [["a", "1.00"], ["longer", ""]]) == [
        "| name   |    x |",
        "|--------|-----:|",
        "| a      | 1.00 |",
        "| longer |      |",
    ]


def a_row(**changes) -> dict:
    row = dict(members="all", weights="greedy", mean="logit", used=True, val_fitted=72.0)
    for metric in ("val", "val_gain"):
        row |= {metric: 71.0, f"{metric}_low": 70.0, f"{metric}_high": 72.5}
    return row | changes


def test_a_variant_is_a_row_with_its_interval_and_empty_where_nothing_is_known():
    found = results(rows=[a_row()])
    (line,) = (line for line in found.markdown("Results").splitlines() if "greedy (used)" in line)
    assert [cell.strip() for cell in line.split("|")[1:-1]] == [
        "all",
        "greedy (used)",
        "logit",
        "72.00",
        *["71.00 (70.00 to 72.50)"] * 2,
    ]
    head, line, *rest = found.variants_csv().splitlines()
    cells = dict(zip(head.split(","), line.split(","), strict=True))
    assert rest == []
    assert (cells["val"], cells["val_gain_high"], cells["test"], cells["test_gain_low"]) == ("71.0", "72.5", "", "")


def test_the_worth_of_a_member_is_empty_where_it_is_not_known():
    found = results(member_weights={"tsn": 0.75, "tin": 0.25}, worth={"tsn": Estimate(1.5, -0.25, 2.75), "tin": None})
    assert found.members_csv() == "member,weight,worth,worth_low,worth_high\ntsn,0.75,1.5,-0.25,2.75\ntin,0.25,,,\n"
    lines = found.markdown("Results").splitlines()
    assert "| tsn    |   0.75 | 1.50 (-0.25 to 2.75) |" in lines
    assert "| tin    |   0.25 |                      |" in lines
    flat = found.flat()
    assert flat["tsn"]["worth"] == 1.5
    assert [flat["interval"][f"tsn_worth_{end}"] for end in ("low", "high")] == [-0.25, 2.75]
    assert "worth" not in flat["tin"]
    assert "tin_worth_low" not in flat["interval"]


def test_subsets_that_are_left_out_are_named():
    text = results(rows=[a_row()], left_out=["slowfast_based"]).markdown("Results")
    assert "or no weight: slowfast_based." in text


def test_only_what_was_selected_among_several_is_said_to_flatter_for_that():
    said = "of several the highest flatters"
    assert said in results(selected=True).markdown("Results")
    assert said not in results().markdown("Results")


def test_the_verdicts_stand_on_top_of_the_tables():
    lines = results().markdown("Results").splitlines()
    assert lines[2:6] == [
        "* Every model is better than chance on val (chance 40.0, 95 %: 30.0 to 50.0).",
        "* 10 val videos: differences of less than 12 points say nothing.",
        f"* {verdict.PICKED}",
        "* The ensemble is better than its best member (+71.0 over tsn on val, 95 %: +70.0 to +72.5).",
    ]


def test_the_gain_on_val_is_that_of_the_choice_where_there_was_one():
    choice = a_row(weights=CHOICE, mean=CHOICE, used=False, val_gain=-1.0, val_gain_low=-2.0, val_gain_high=0.5)
    said = results(rows=[a_row(), choice]).sentences()
    assert (
        said[-1]
        == "A gain of the ensemble over its best member is not shown (-1.0 over tsn on val, 95 %: -2.0 to +0.5)."
    )


def test_an_ensemble_of_one_of_its_members_has_no_gain_to_tell():
    assert results(member_weights={"tsn": 0.0, "tin": 1.0}).sentences()[-1] == "The ensemble is tin alone."


def test_where_no_model_beats_chance_there_is_no_gain():
    assert results(verdicts={"val": judged(45.0)}).sentences()[-1] == (
        "No model is better than chance on val, so there is no gain to tell."
    )
