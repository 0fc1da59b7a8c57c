"""What members cost: counts of a loop over the layers that a clip passes, and of the views by hand."""

import json
import math
import shutil

import pandas as pd
import pytest
import torch
from torch import nn

from pipeline.core import checksums
from pipeline.core.errors import UserError
from pipeline.core.registry import find
from pipeline.report.page import three_digits
from tests.support import finished
from tests.support.html_page import DASH, check, page


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """(input paths, costs.csv by member and protocol, page as it is read) of three members."""
    folder = tmp_path_factory.mktemp("costs")
    sources = finished.run(folder, members=("tsn", "tin", "slow"), clips=2)
    read = check(page(sources, folder / "report"))
    return sources, pd.read_csv(folder / "report" / "costs.csv").set_index(["member", "protocol"]), read


def multiplications(network: nn.Module, clip: torch.Tensor) -> int:
    """Multiplications of the convolutions and linear layers, as a clip really passes them."""
    count = 0

    def add(layer, inputs, out):
        nonlocal count
        count += out.numel() * layer.weight[0].numel()

    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Conv3d | nn.Linear):
            layer.register_forward_hook(add)
    with torch.no_grad():
        network.eval()(clip)
    return count


@pytest.mark.parametrize(("member", "number"), [("tsn", 0), ("tin", 1), ("slow", 2)])
def test_a_clip_costs_what_its_layers_multiply(made, member, number):
    found = made[1]
    arch, options = finished.NETWORKS[number]
    network = find("models", arch).build(3, **options)
    counted = multiplications(network, torch.zeros(1, 3, 8, 32, 32)) / 1e9
    rows = found.loc[member]
    assert rows["gmacs_clip"].to_list() == pytest.approx([counted] * 3, rel=0.02, abs=1e-6)
    assert rows["views"].to_dict() == {"clip": 1, "dense": 2 * 3, "multiscale": 2 * 3 * 2}
    assert rows["gmacs_video"].to_list() == pytest.approx([one * counted for one in (1, 6, 12)], rel=0.02)
    assert rows["parameters"].to_list() == [sum(p.numel() for p in network.parameters())] * 3
    videos, epochs = 5, 3
    assert rows["gmacs_training"].to_list() == pytest.approx([3 * epochs * videos * counted] * 3, rel=0.02)


def test_the_figures_are_those_of_the_members_with_their_intervals(made):
    sources, found, read = made
    metrics = json.loads(sources.metrics.read_text())
    for member, protocol in found.index:
        row, name = found.loc[member, protocol], f"test_{protocol}"
        assert row["figure"] == pytest.approx(metrics[member][name], abs=1e-5)
        assert row["low"] == pytest.approx(metrics["interval"][f"{member}_{name}_low"], abs=1e-5)
        assert row["high"] == pytest.approx(metrics["interval"][f"{member}_{name}_high"], abs=1e-5)
    (table,) = read.tables["costs"]
    costs = [float(row[3]) for row in table[1:]]
    assert costs == sorted(costs)
    total = found.xs("multiscale", level="protocol")["gmacs_video"].sum()
    assert f"costs {three_digits(total)} GMACs a video" in read.text


def test_scores_from_elsewhere_have_no_cost_and_the_ensemble_of_them_neither(tmp_path):
    sources = finished.run(tmp_path, resamples=2)
    shutil.rmtree(sources.models / "tin")
    read = check(page(sources, tmp_path / "report"))
    rows = {row[0]: row[3:] for row in read.tables["costs"][0][1:]}
    assert rows["tin"] == [DASH] * 5
    assert DASH not in rows["tsn"]
    assert "the ensemble, of" not in read.text


def test_without_any_recipe_there_is_no_picture(tmp_path):
    sources = finished.run(tmp_path, resamples=2)
    shutil.rmtree(sources.models)
    text = page(sources, tmp_path / "report")
    assert "by GMACs of a video" not in text
    assert check(text).tables["costs"][0][1][3:] == [DASH] * 5


def test_what_is_fitted_to_frozen_features_has_no_cost_of_training(tmp_path):
    sources = finished.run(tmp_path, members=("only",), resamples=2)
    recipe = json.loads((sources.models / "only" / "recipe.json").read_text())
    del recipe["train"]["augment"], recipe["train"]["epochs"]
    (sources.models / "only" / "recipe.json").write_text(json.dumps(recipe))
    checksums.seal(sources.models / "only")
    (row,) = check(page(sources, tmp_path / "report")).tables["costs"][0][1:]
    assert row[-1] == DASH
    assert row[2] != DASH


@pytest.mark.parametrize("videos", [2, None])
def test_a_training_costs_the_videos_that_it_saw_and_is_unknown_where_the_recipe_does_not_say(tmp_path, videos):
    sources = finished.run(tmp_path, resamples=2)
    recipe = json.loads((sources.models / "tin" / "recipe.json").read_text())
    recipe |= {"train_videos": videos}
    (sources.models / "tin" / "recipe.json").write_text(json.dumps(recipe))
    checksums.seal(sources.models / "tin")
    page(sources, tmp_path / "report")
    found = (
        pd.read_csv(tmp_path / "report" / "costs.csv").set_index(["member", "protocol"]).xs("clip", level="protocol")
    )
    passes = found["gmacs_training"] / found["gmacs_clip"]  # three a video and epoch, of which there are three
    assert passes["tsn"] == pytest.approx(3 * 3 * 5, rel=1e-2)
    assert math.isnan(passes["tin"]) if videos is None else passes["tin"] == pytest.approx(3 * 3 * videos, rel=1e-2)


def test_a_clip_of_differences_costs_the_frames_of_all_its_places(tmp_path):
    sources = finished.run(tmp_path, resamples=2)
    recipe = json.loads((sources.models / "tsn" / "recipe.json").read_text())
    recipe["options"]["input"], recipe["clip"]["sampler"]["consecutive"] = "rgb_difference", 6
    (sources.models / "tsn" / "recipe.json").write_text(json.dumps(recipe))
    checksums.seal(sources.models / "tsn")
    page(sources, tmp_path / "report")
    found = pd.read_csv(tmp_path / "report" / "costs.csv").set_index(["member", "protocol"]).loc[("tsn", "clip")]
    network = find("models", "tsn").build(3, **recipe["options"])
    counted = multiplications(network, torch.zeros(1, 3, 8 * 6, 32, 32)) / 1e9
    assert found["gmacs_clip"] == pytest.approx(counted, rel=0.02, abs=1e-6)


def test_a_clip_of_flow_costs_the_ten_channels_of_its_places(tmp_path):
    sources = finished.run(tmp_path, resamples=2)
    recipe = json.loads((sources.models / "tsn" / "recipe.json").read_text())
    recipe["options"]["input"], recipe["clip"]["input"], recipe["clip"]["sampler"]["consecutive"] = "flow", "flow", 5
    (sources.models / "tsn" / "recipe.json").write_text(json.dumps(recipe))
    checksums.seal(sources.models / "tsn")
    page(sources, tmp_path / "report")
    found = pd.read_csv(tmp_path / "report" / "costs.csv").set_index(["member", "protocol"]).loc[("tsn", "clip")]
    network = find("models", "tsn").build(3, **recipe["options"])
    counted = multiplications(network, torch.zeros(1, 2, 8 * 5, 32, 32)) / 1e9
    assert found["gmacs_clip"] == pytest.approx(counted, rel=0.02, abs=1e-6)


def test_an_option_that_the_code_has_no_more_is_named_with_its_remedy(tmp_path):
    sources = finished.run(tmp_path, resamples=2)
    recipe = json.loads((sources.models / "tsn" / "recipe.json").read_text())
    recipe["options"]["depth"] = 3
    (sources.models / "tsn" / "recipe.json").write_text(json.dumps(recipe))
    checksums.seal(sources.models / "tsn")
    with pytest.raises(
        UserError, match=r"tsn/recipe\.json \(`dvc repro train@tsn` makes it again\)\.depth: there is no"
    ):
        page(sources, tmp_path / "report")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0123456, "0.0123"),
        (1.005, "1.00"),
        (12.345, "12.3"),
        (999.4, "999"),
        (1234567.0, "1,234,567"),
        (math.nan, DASH),
    ],
)
def test_three_digits(value, text):
    assert three_digits(value) == text
