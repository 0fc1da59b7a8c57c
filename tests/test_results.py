from pipeline.results import Results, text_table


def results(**changes) -> Results:
    values = dict(
        denominators={"val": {"n_expected": 10, "n_scored": 9, "n_broken": 1}},
        prior={"val": 40.0},
        members={"tsn": {"val": {"clip": 60.0, "dense": 61.5, "multiscale": 62.25}}},
        ensembles={"uniform": {"val": 70.0}, "used": {"val": 72.0}, "cross-fitted": {"val": 71.0}},
        weights={"tsn": 1.0},
    )
    return Results(**(values | changes))


def test_the_flat_form_has_two_levels_and_short_names():
    assert results().flat() == {
        "prior": {"val": 40.0},
        "ensemble": {"val": 72.0, "val_crossfit": 71.0},
        "tsn": {"val_clip": 60.0, "val_dense": 61.5, "val_multiscale": 62.25},
        "videos": {"val_n_expected": 10, "val_n_scored": 9, "val_n_broken": 1},
    }


def test_the_tables_show_the_prior_each_member_by_protocol_and_the_ensembles():
    lines = results().markdown("Results", "fitted").splitlines()
    assert "| class prior |    40.00 |     40.00 |          40.00 |" in lines
    assert "| tsn         |    60.00 |     61.50 |          62.25 |" in lines
    assert any(line.startswith("| cross-fitted") and line.endswith("| 71.00 |") for line in lines)
    assert "* val: 10 videos, 1 of them broken and answered with the class prior" in lines
    assert "Weights used (fitted): tsn 1.00." in lines


def test_a_split_without_labels_has_a_denominator_and_no_figure():
    counts = {"n_expected": 3, "n_scored": 3, "n_broken": 0}
    text = results(denominators={"val": counts, "test": counts}).markdown("Results", "given")
    assert "* test: 3 videos, 0 of them broken and answered with the class prior; nobody labelled them" in text
    assert "test clip" not in text


def test_columns_line_up_with_the_first_to_the_left():
    assert text_table(["name", "x"], [["a", "1.00"], ["longer", ""]]) == [
        "| name   |    x |",
        "|--------|-----:|",
        "| a      | 1.00 |",
        "| longer |      |",
    ]
