"""Checkpoints like those of trainers: several sets of weights, wrappers, and objects beside the tensors."""

import argparse
import enum
import functools
import os
import re
from collections import Counter, OrderedDict, defaultdict, deque
from pathlib import Path

import pytest
import torch
from torch import nn

from pipeline.core.errors import UserError
from pipeline.pretrained import tensor_sets, weight_file
from tests.support.peers import Call

STATE = {"conv1.weight": torch.arange(4.0).view(2, 2), "conv1.bias": torch.ones(2)}
OTHER = {name: tensor + 1 for name, tensor in STATE.items()}


class Colour(enum.Enum):
    """An enumeration as Python 3.11.7 writes it."""

    RED = 1

    def __reduce_ex__(self, protocol):
        return Colour, (self.value,)


class ColourByName(enum.Enum):
    """The same as Python 3.11.2 writes it."""

    RED = 1

    def __reduce_ex__(self, protocol):
        return getattr, (ColourByName, self.name)


class Words(dict):
    """A dict with a state of its own, as configurations are."""

    def __init__(self) -> None:
        super().__init__(a=1)
        self.note = "b"


class Buffer:
    """Like a meter whose state holds functions of its class."""

    def __init__(self) -> None:
        self.values, self.means = deque([1.0, 2.0], maxlen=4), {"mean": functools.partial(max, 0)}


OBJECTS = {
    "args": argparse.Namespace(lr=0.1, colour=Colour.RED, named=ColourByName.RED, path=Path("x")),
    "meters": [Buffer(), Words(), defaultdict(list, a=[1]), Counter("abba")],
    "set": {Colour.RED},
    Colour.RED: torch.Size([2, 3]),
    "dtype": torch.float16,
    "device": torch.device("cpu"),
    "optimizer": torch.optim.SGD([nn.Parameter(torch.ones(2))], lr=0.1, momentum=0.9).state_dict(),
}


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def save(tmp_path: Path, content: object, legacy: bool = False) -> Path:
    torch.save(content, tmp_path / "file.pth", _use_new_zipfile_serialization=not legacy)
    return tmp_path / "file.pth"


each_format = pytest.mark.parametrize("legacy", [False, True])


@each_format
def test_tensors_are_read_beside_objects_that_stand_still(tmp_path, legacy):
    parameter = nn.Parameter(torch.arange(6.0).reshape(2, 3).T)  # not contiguous
    state = OrderedDict({**STATE, "p": parameter, "half": torch.ones(2, dtype=torch.bfloat16), "none": torch.empty(0)})
    state["view"] = torch.arange(10)[2:8:2]
    read = weight_file.read(save(tmp_path, {"state_dict": state, **OBJECTS}, legacy))
    assert equal(read.tensors, {name: tensor.detach() for name, tensor in state.items()})
    assert read.tensors["half"].dtype == torch.bfloat16


@pytest.mark.parametrize(
    "kind",
    [torch.float8_e4m3fn, torch.float8_e5m2, torch.complex64, torch.complex128, torch.uint16, torch.uint64],
    ids=str,
)
def test_numbers_of_every_type_are_read_beside_objects_as_without_them(tmp_path, kind):
    tensor = torch.arange(64, dtype=torch.uint8).view(kind)[1:3]
    read = weight_file.read(save(tmp_path, {"model": {**STATE, "x": tensor}, **OBJECTS})).tensors["x"]
    assert read.dtype == kind
    assert read.clone().view(torch.uint8).tolist() == list(range(kind.itemsize, 3 * kind.itemsize))


@pytest.mark.filterwarnings("ignore:torch.quantize")
def test_quantized_numbers_stand_still_and_are_named_among_weights(tmp_path):
    quantized = torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8)
    content = {"model": STATE, "args": argparse.Namespace()}
    assert equal(weight_file.read(save(tmp_path, {**content, "other": quantized})).tensors, STATE)
    with pytest.raises(UserError, match=r"asks for `torch\._utils\._rebuild_qtensor`"):
        weight_file.read(save(tmp_path, {**content, "model": {**STATE, "x": quantized}}))


@each_format
def test_nothing_of_the_objects_runs(tmp_path, legacy):
    marker = tmp_path / "marker"
    objects = {"a": Call(os.system, f"touch {marker}"), "b": Call(eval, f"open({str(marker)!r}, 'w')")}
    read = weight_file.read(save(tmp_path, {"state_dict": STATE, **objects, "args": argparse.Namespace()}, legacy))
    assert equal(read.tensors, STATE)
    assert not marker.exists()


@pytest.mark.parametrize(
    ("guest", "name"),
    [
        (argparse.Namespace(a=1), "argparse.Namespace"),
        (Colour.RED, f"{__name__}.Colour"),
        (ColourByName.RED, "__builtin__.getattr"),
        (Buffer(), f"{Buffer.__module__}.Buffer"),
    ],
)
def test_an_object_among_the_tensors_is_refused_by_name(tmp_path, guest, name):
    with pytest.raises(UserError, match=re.escape(f"asks for `{name}`")):
        weight_file.read(save(tmp_path, {"state_dict": {**STATE, "guest": guest}}))


def test_a_state_of_another_kind_of_dict_is_refused_by_name(tmp_path):
    words = Words()
    words |= STATE
    with pytest.raises(UserError, match=r"asks for `.*Words`"):
        weight_file.read(save(tmp_path, {"state_dict": words}))


@pytest.mark.parametrize(
    ("prefixes", "wrappers"),
    [
        ("module.", ("module.",)),
        ("_orig_mod.module.", ("_orig_mod.", "module.")),
        ("module._orig_mod.", ("module.", "_orig_mod.")),
        ("model.module._orig_mod.", ("model.", "module.", "_orig_mod.")),
        ("module._orig_mod.model.", ("module.", "_orig_mod.", "model.")),
        ("module.module.", ("module.", "module.")),  # an average of a data-parallel network
        ("model._orig_mod.module.model.", ("model.", "_orig_mod.", "module.", "model.")),
        ("_forward_module.net.", ("_forward_module.", "net.")),
        ("_fsdp_wrapped_module.network.", ("_fsdp_wrapped_module.", "network.")),
    ],
)
def test_wrappers_are_taken_off_in_any_order_and_said(tmp_path, prefixes, wrappers):
    read = weight_file.read(save(tmp_path, {prefixes + name: tensor for name, tensor in STATE.items()}))
    assert equal(read.tensors, STATE)
    assert (read.wrappers, read.parallel) == (wrappers, "module." in wrappers)
    assert read.origin == f"no container, without {', '.join(wrappers)}"


@pytest.mark.parametrize("word", tensor_sets.WITHIN)
def test_wrappers_of_single_layers_are_taken_out_of_names(tmp_path, word):
    inner = {f"model.{name.replace('.', f'.{word}')}": tensor for name, tensor in STATE.items()}
    read = weight_file.read(save(tmp_path, {**inner, "model.bias": torch.ones(1)}))
    assert equal(read.tensors, {**STATE, "bias": torch.ones(1)})
    assert read.wrappers == ("model.", word)
    collides = {"a.weight": torch.ones(1), f"a.{word}weight": torch.zeros(1)}
    assert equal(weight_file.read(save(tmp_path, collides)).tensors, collides)


def test_of_several_sets_one_must_be_named(tmp_path):
    path = save(tmp_path, {"state_dict": STATE, "state_dict_ema": OTHER})
    with pytest.raises(UserError) as caught:
        weight_file.read(path)
    assert "several sets of weights: state_dict (2 tensors), state_dict_ema (2 tensors)" in str(caught.value)
    assert "train.pretrained_set: state_dict_ema" in str(caught.value)
    assert equal(weight_file.read(path, "state_dict").tensors, STATE)
    assert equal(weight_file.read(path, "state_dict_ema").tensors, OTHER)
    with pytest.raises(UserError, match=r"has no set of weights 'ema'\. It has: state_dict \(2 tensors\), state"):
        weight_file.read(path, "ema")


NAMED = {f"module.{name}": tensor for name, tensor in OTHER.items()}
LEARNT = {"conv1.weight": OTHER["conv1.weight"]}


@pytest.mark.parametrize(
    ("content", "key", "average"),
    [
        ({"net": STATE, "net_ema": OTHER}, "net_ema", OTHER),
        ({"model": STATE, "averaged_model": {**NAMED, "n_averaged": torch.tensor(1)}}, "averaged_model", OTHER),
        ({"state_dict": STATE, "swa_state_dict": OTHER}, "swa_state_dict", OTHER),
        ({"model": STATE, "ema": {"module": OTHER, "updates": 3}}, "ema.module", OTHER),
        ({"model": STATE, "ema": {"decay": 0.9, "shadow": LEARNT}}, "ema.shadow", LEARNT),
        ({"state_dict": STATE, "callbacks": {"EMA": {"ema_weights": OTHER}}}, "callbacks.EMA.ema_weights", OTHER),
        ({"student": STATE, "teacher": NAMED}, "teacher", OTHER),
        ({"args": argparse.Namespace(), "model": STATE, "weights_ema": OTHER}, "weights_ema", OTHER),
    ],
)
def test_an_average_under_any_key_is_a_set(tmp_path, content, key, average):
    path = save(tmp_path, content)
    with pytest.raises(UserError, match=rf"several sets of weights: .*pretrained_set: {key}, .*An average \(ema\)"):
        weight_file.read(path)
    assert equal(weight_file.read(path, key).tensors, average)


def test_a_module_that_holds_a_network_and_its_average_has_two_sets(tmp_path):
    average = {f"model_ema.module.{name}": tensor for name, tensor in OTHER.items()}
    beside = {"model_ema.n_averaged": torch.tensor(1), "criterion.pos_weight": torch.ones(3), "step": torch.tensor(1)}
    path = save(tmp_path, {"state_dict": {f"model.{n}": tensor for n, tensor in STATE.items()} | average | beside})
    with pytest.raises(
        UserError, match=r"state_dict:model. \(2 .*, state_dict:model_ema. \(2 .*_set: state_dict:model_e"
    ):
        weight_file.read(path)
    assert equal(weight_file.read(path, "state_dict:model.").tensors, STATE)
    assert equal(weight_file.read(path, "state_dict:model_ema.").tensors, OTHER)


@pytest.mark.parametrize(
    ("beside", "key"),
    [
        ({"ema": {"decay": 0.9, "num_updates": 3, "shadow_params": list(OTHER.values())}}, "ema.shadow_params"),
        ({"args": argparse.Namespace(), "average": tuple(OTHER.values())}, "average"),
        ({"ema": [OTHER["conv1.weight"]]}, "ema"),
    ],
)
def test_averages_without_names_are_a_set_that_cannot_be_chosen(tmp_path, beside, key):
    """As torch_ema and the EMAModel of diffusers write them."""
    path = save(tmp_path, {"model": STATE, **beside})
    with pytest.raises(
        UserError, match=rf"several sets of weights: model \(2 tensors\), {key} \(\d tensors without names"
    ):
        weight_file.read(path)
    with pytest.raises(UserError, match=r"train\.pretrained_set: model, or `.*What has no names cannot be loaded: let"):
        weight_file.read(path)
    with pytest.raises(
        UserError, match=rf"has no set of weights '{key}'\. It has: model .*, {key} \(\d tensors without"
    ):
        weight_file.read(path, key)
    assert equal(weight_file.read(path, "model").tensors, STATE)


@pytest.mark.parametrize(
    "beside",
    [
        [],
        [torch.zeros(2, 2), torch.zeros(2, 2)],
        [torch.zeros(5056, dtype=torch.uint8)],
        [torch.tensor(0.5), torch.tensor(0.25)],
        [OTHER["conv1.weight"], 3],
    ],
    ids=["empty", "other counts", "states of random numbers", "losses", "no tensor"],
)
def test_a_list_of_other_tensors_is_no_set(tmp_path, beside):
    assert equal(weight_file.read(save(tmp_path, {"model": STATE, "log": {"kept": beside}})).tensors, STATE)


def test_averages_without_names_are_listed_beside_those_with_names(tmp_path):
    path = save(tmp_path, {"model": STATE, "model_ema": OTHER, "shadow_params": list(OTHER.values())})
    with pytest.raises(
        UserError,
        match=r"model_ema \(2 tensors\), shadow_params \(2 tensors without names\).*set: model_ema, .*What has",
    ):
        weight_file.read(path)


def test_other_sets_than_averages_come_without_advice_on_averages(tmp_path):
    with pytest.raises(UserError, match=r"pretrained_set: model, or `pipeline checkpoint --set`\.$"):
        weight_file.read(save(tmp_path, {"model": STATE, "best": OTHER}))


def test_the_state_of_an_optimizer_is_no_set(tmp_path):
    moments = {name: {"step": torch.tensor(1), "exp_avg": tensor} for name, tensor in STATE.items()}
    assert equal(weight_file.read(save(tmp_path, {"model": STATE, "optim": {"state": moments}})).tensors, STATE)


@pytest.mark.parametrize(
    ("content", "key"),
    [({"model": {"state_dict": STATE, "arch": "x"}}, "model.state_dict"), ({"state": {"model": STATE}}, "state.model")],
)
def test_a_set_within_another_mapping_is_found(tmp_path, content, key):
    read = weight_file.read(save(tmp_path, content))
    assert (read.container, equal(read.tensors, STATE)) == (key, True)


def test_tensors_under_a_key_that_says_nothing_are_asked_for(tmp_path):
    path = save(tmp_path, {"params": STATE, "epoch": 3})
    with pytest.raises(UserError, match=r"under keys that are not known: params \(2 tensors\).*pretrained_set: params"):
        weight_file.read(path)
    assert equal(weight_file.read(path, "params").tensors, STATE)


def test_numbers_of_a_loss_beside_the_network_are_no_weights(tmp_path):
    module = {f"model.{name}": tensor for name, tensor in STATE.items()} | {"criterion.pos_weight": torch.ones(3)}
    assert equal(weight_file.read(save(tmp_path, {"state_dict": module})).tensors, STATE)
    network = {**STATE, "loss.weight": torch.ones(1)}
    assert equal(weight_file.read(save(tmp_path, network)).tensors, network)


def test_what_is_no_tensor_among_tensors_is_named_and_an_extra_state_left_out(tmp_path):
    assert equal(weight_file.read(save(tmp_path, {"model": {**STATE, "conv1._extra_state": {"a": 1}}})).tensors, STATE)
    with pytest.raises(UserError, match=r"no tensor under 'epoch', but int\. Save the tensors"):
        weight_file.read(save(tmp_path, {"model": {**STATE, "epoch": 3}}))


def test_twins_of_the_average_are_a_set(tmp_path):
    counter = {"conv1.count": torch.tensor(3)}
    twins = {f"ema_{name.replace('.', '_')}": tensor for name, tensor in OTHER.items()}
    path = save(tmp_path, {"meta": {}, "state_dict": {**STATE, **counter, **twins, "ema_own": torch.ones(1)}})
    with pytest.raises(UserError, match=r"state_dict \(4 tensors\), state_dict:ema_ \(4 tensors\)"):
        weight_file.read(path)
    rest = {**counter, "ema_own": torch.ones(1)}
    assert equal(weight_file.read(path, "state_dict").tensors, {**STATE, **rest})
    assert equal(weight_file.read(path, "state_dict:ema_").tensors, {**OTHER, **rest})


@each_format
def test_a_storage_that_is_shared_and_a_tensor_past_its_end(tmp_path, legacy):
    both = torch.arange(4.0)
    read = weight_file.read(save(tmp_path, {"model": {"a": both, "b": both[2:]}, "args": argparse.Namespace()}, legacy))
    assert read.tensors["b"].tolist() == [2, 3]
    with pytest.raises(Exception, match="storage"):
        tensor_sets.torch_zip._tensor(torch.ones(4), 2, (3,), (1,))


def test_an_average_of_mmengine_stands_under_state_dict_and_its_counter_is_no_weight(tmp_path):
    average = {**{f"module.{name}": tensor for name, tensor in OTHER.items()}, "steps": torch.tensor(3)}
    path = save(tmp_path, {"state_dict": STATE, "ema_state_dict": average, "message_hub": Buffer()})
    with pytest.raises(UserError, match=r"pretrained_set: state_dict, .*mmengine keeps the average.*under state_dict"):
        weight_file.read(path)
    assert equal(weight_file.read(path, "ema_state_dict").tensors, OTHER)


@pytest.mark.parametrize("name", tensor_sets.COUNTS)
def test_a_weight_that_is_called_like_a_counter_is_kept(tmp_path, name):
    assert name in weight_file.read(save(tmp_path, {**STATE, name: torch.tensor(3.0)})).tensors
