from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from pipeline.cli import model_table
from pipeline.core.errors import UserError
from pipeline.models import tin, tsm, tsn
from pipeline.pretrained import importers
from pipeline.training.optim import OptimConfig, RoleConfig, ScheduleConfig, learning_rate, optimizer, role
from tests.support.golden import golden_io

GOLDEN = Path(__file__).parents[1] / "support" / "golden" / "lr_schedules.npz"
STEP = ScheduleConfig("step", milestones=(10, 20), factor=0.1)
COSINE = ScheduleConfig("cosine")


def rates(base, schedule, steps_per_epoch, epochs):
    return [learning_rate(base, schedule, k, steps_per_epoch, epochs) for k in range(epochs * steps_per_epoch)]


def test_step_divides_by_ten_from_the_first_step_of_epochs_10_and_20():
    rate = rates(0.01, STEP, steps_per_epoch=2, epochs=25)
    assert rate[:20] == [0.01] * 20
    assert rate[20:40] == pytest.approx([0.001] * 20)
    assert rate[40:] == pytest.approx([0.0001] * 10)


def test_step_is_the_reports_own_schedule_as_its_code_runs_it():
    golden = np.load(GOLDEN)["xt_step"]  # 10 steps an epoch, base 0.01
    ours = [learning_rate(0.01, STEP, k, 10, 30) for k in range(len(golden))]
    np.testing.assert_allclose(ours, golden, rtol=1e-6)


def test_cosine_is_the_papers_formula():
    golden = np.load(GOLDEN)
    ours = [learning_rate(0.2, COSINE, int(k), 1000, 180) for k in golden["paper_k"]]
    np.testing.assert_allclose(ours, golden["paper_lr_no_warmup"], rtol=1e-6, atol=1e-12)


def test_warm_up_is_linear_to_the_value_of_the_unshifted_cosine():
    golden = np.load(GOLDEN)["psf_cos_base0.2_max180_warm10_start0.02"]  # PySlowFast's closed form, in epochs
    schedule = ScheduleConfig("cosine", warmup_epochs=10, warmup_start=0.1)
    ours = [learning_rate(0.2, schedule, k, 10, 180) for k in range(1800)]
    np.testing.assert_allclose(ours, golden[:1800], rtol=1e-6)


def test_the_rate_does_not_jump_at_the_end_of_the_warm_up():
    schedule = ScheduleConfig("step", warmup_epochs=2, warmup_start=0.5, milestones=(5,))
    assert rates(1.0, schedule, steps_per_epoch=2, epochs=3) == [0.5, 0.625, 0.75, 0.875, 1, 1]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (dict(kind="cosine", milestones=(1.0,)), "milestones belong"),
        (dict(kind="step", warmup_epochs=-1.0), "must not be negative"),
        (dict(kind="step", warmup_start=2.0), r"0\.\.1"),
    ],
)
def test_a_senseless_schedule_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        ScheduleConfig(**settings)


def test_frozen_parameters_are_left_out_of_the_optimiser():
    model = nn.Linear(2, 2)
    model.bias.requires_grad_(False)
    groups = optimizer(model, OptimConfig(0.1, 0.01, None)).param_groups
    assert [p is model.weight for group in groups for p in group["params"]] == [True]


def test_one_step_of_sgd_is_the_formula():
    """Nesterov: v = g + wd * w; w -= lr * (g + wd * w + momentum * v)."""
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, 2.0)
    sgd = optimizer(model, OptimConfig(0.1, 0.25, None, options={"sgd": {"momentum": 0.5, "nesterov": True}}))
    model(torch.tensor([[3.0]])).backward()  # gradient 3
    sgd.step()
    decayed = 3 + 0.25 * 2
    assert model.weight.item() == pytest.approx(2 - 0.1 * (decayed + 0.5 * decayed))


POLICY = {  # of the repositories of TSM and TIN: factors to learning rate and weight decay
    "bias": RoleConfig(2, 0),
    "norm": RoleConfig(1, 0),
    "classifier_weight": RoleConfig(5, 1),
    "classifier_bias": RoleConfig(10, 0),
}
CASES = golden_io.load(GOLDEN.parent / "param_policies_tsm.npz")["cases"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['base']}-partial_bn={case['partial_bn']}")
def test_the_roles_give_the_groups_of_tsms_repository(case):
    with torch.device("meta"):
        every = 2 if case["base"] == "resnet101" else 1  # as that repository has it
        model = tsm.build(313, backbone=case["base"], every=every, partial_bn=case["partial_bn"])
    names = {parameter: name for name, parameter in model.named_parameters()}
    groups = optimizer(model, OptimConfig(0.01, 5e-4, None, roles=POLICY)).param_groups
    ours = {names[p]: (g["scale"], g["weight_decay"] / 5e-4) for g in groups for p in g["params"]}
    factors = {name: (g["lr_mult"], g["decay_mult"]) for g in case["groups"] for name in g["params"]}
    peers = importers.rename(factors, importers.TSN)
    assert ours == peers


def test_the_offset_nets_of_a_deep_tin_are_no_classifier():
    """The peer counts Linear layers, and from the 33rd on takes offset nets for the classifier."""
    with torch.device("meta"):
        model = tin.build(313, backbone="resnet101")
    roles = {name: role(model, name) for name, _ in model.named_parameters()}
    classifier = {name for name, found in roles.items() if found.startswith("classifier")}
    assert classifier == {"classifier.weight", "classifier.bias"}
    assert roles["backbone.layer4.2.conv1.temporal.offset_net.out.weight"] == "weight"
    assert roles["backbone.layer4.2.conv1.temporal.offset_net.out.bias"] == "bias"


@pytest.mark.parametrize("roles", [{}, POLICY], ids=["report", "tsm"])
@pytest.mark.parametrize(("name", "backbone"), [("tsn_flow_r50", "resnet50"), ("tsm_flow_r50", "vgg11")])
def test_the_first_convolution_of_flow_has_the_factors_of_tsns_and_tsms_repositories(name, backbone, roles):
    """Five times the rate, and ten times without decay for the bias, which VGG has; whatever the other layers have."""
    config = model_table.configs(Path(__file__).parents[2] / "conf", [name])[name]
    with torch.device("meta"):
        model = tsn.build(3, backbone=backbone, input="flow")
    groups = optimizer(model, replace(config.train.optim, roles=config.train.optim.roles | roles)).param_groups
    found = {p: (g["scale"], g["weight_decay"] / 5e-4) for g in groups for p in g["params"]}
    first, *others = (layer for layer in model.modules() if isinstance(layer, nn.Conv2d))
    assert first.in_channels == 10
    assert found[first.weight] == (5, 1)
    assert {found[layer.weight] for layer in others} == {(1, 1)}
    if backbone == "vgg11":
        assert found[first.bias] == (10, 0)
        assert {found[layer.bias] for layer in others} == ({(2, 0)} if roles else {(1, 1)})


def test_the_first_convolution_has_the_factors_of_the_others_unless_its_own_are_named():
    model = nn.Sequential(nn.Linear(2, 3), nn.Conv1d(1, 2, 1), nn.Conv1d(2, 2, 1))
    (weights, biases) = optimizer(model, OptimConfig(0.1, 0.01, None, roles={"bias": RoleConfig(2, 0)})).param_groups
    assert [len(group["params"]) for group in (weights, biases)] == [3, 3]
    named = {"bias": RoleConfig(2, 0), "first_weight": RoleConfig(5)}
    *_, own = optimizer(model, OptimConfig(0.1, 0.01, None, roles=named)).param_groups
    assert (own["params"], own["scale"]) == ([model[1].weight], 5)


def test_by_default_there_is_one_group_as_in_the_reports_code():
    (group,) = optimizer(nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)), OptimConfig(0.1, 0.01, None)).param_groups
    assert (group["scale"], group["weight_decay"]) == (1, 0.01)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "sdg"}, r"train.optim.name: timm has no optimiser 'sdg'\. Did you mean 'sgd'\?"),
        (
            {"options": {"sgd": {"momentun": 0.9}}},
            r"train.optim.options.sgd.momentun: no such.*Did you mean 'momentum'",
        ),
        ({"options": {"sgd": {"momentum": -1}}}, "train.optim.options.sgd: Invalid momentum value: -1"),
    ],
)
def test_an_unknown_optimiser_or_option_is_refused(settings, message):
    with pytest.raises(UserError, match=message):
        optimizer(nn.Linear(1, 1), OptimConfig(0.1, 0.01, None, **settings))


def test_an_unknown_role_is_refused():
    with pytest.raises(ValueError, match="no 'biases'; there are weight, bias, norm"):
        OptimConfig(0.1, 0.01, None, roles={"biases": RoleConfig(2, 0)})


def test_adamw_is_pytorchs():
    ours, theirs = nn.Linear(2, 1), nn.Linear(2, 1)
    theirs.load_state_dict(ours.state_dict())
    steps = [
        (ours, optimizer(ours, OptimConfig(0.1, 0.01, None, name="adamw", options={"adamw": {"betas": [0.8, 0.9]}}))),
        (theirs, torch.optim.AdamW(theirs.parameters(), 0.1, betas=(0.8, 0.9), weight_decay=0.01)),
    ]
    for model, adamw in steps:
        model(torch.ones(1, 2)).sum().backward()
        adamw.step()
    torch.testing.assert_close(ours.weight, theirs.weight)
