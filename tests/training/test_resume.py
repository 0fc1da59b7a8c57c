"""What a resume state keeps of an optimiser: all of it, whatever it is made of."""

import json

import pytest
import torch

from pipeline.training import resume


def test_nested_values_come_back_as_they_were():
    state = {
        "state": {"0": {"step": 3, "moment": torch.tensor([1.0, 2.0]), "dims": ((1, 2), [None, True])}},
        "param_groups": [{"betas": (0.9, 0.999), "params": [0], "lr": torch.tensor(0.5)}],
    }
    tensors: dict[str, torch.Tensor] = {}
    packed = json.loads(json.dumps(resume._pack(state, "optim", tensors)))
    back = resume._unpack(packed, tensors)
    assert list(tensors) == ["optim.state.0.moment", "optim.param_groups.0.lr"]
    assert back["state"]["0"]["dims"] == ((1, 2), [None, True])
    assert back["param_groups"][0]["betas"] == (0.9, 0.999)
    assert torch.equal(back["state"]["0"]["moment"], torch.tensor([1.0, 2.0]))
    assert back["param_groups"][0]["lr"] == 0.5


def test_what_json_cannot_hold_is_no_silent_loss():
    with pytest.raises(TypeError):
        json.dumps(resume._pack({"kind": torch.float32}, "optim", {}))
