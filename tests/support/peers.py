"""Checkpoints as other programs write them, with weights that follow from the golden files' rule."""

import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tests.support.golden import keys

State = dict[str, Tensor]


class Call:
    """A hostile guest: pickles as a call of `function`."""

    def __init__(self, function: object, *arguments: object) -> None:
        self.made = (function, arguments)

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return self.made


def golden_names(name: str) -> list[str]:
    """The peer's names."""
    return [key for key, _ in keys.read(name)["keys"]]


def parallel(state: State) -> State:
    """As a data-parallel wrapper names them."""
    return {f"module.{name}": tensor for name, tensor in state.items()}


def bare(state: State) -> State:
    return state


def x_temporal(state: State) -> dict[str, Any]:
    optimizer = {"state": {0: {"momentum_buffer": torch.zeros(2)}}, "param_groups": [{"lr": 0.01, "params": [0]}]}
    return {"epoch": 3, "model": state, "optimizer": optimizer, "best_prec1": np.float64(58.9)}


def x_temporal_parallel(state: State) -> dict[str, Any]:
    return x_temporal(parallel(state))


def tsm_repository(state: State) -> dict[str, Any]:
    named = parallel(state)
    return {"epoch": 3, "arch": "resnet50", "state_dict": named, "optimizer": {}, "best_prec1": torch.tensor(58.9)}


def pyslowfast(state: State, cfg: str = "TRAIN:\n  ENABLE: true\n") -> dict[str, Any]:
    return {"epoch": 3, "model_state": state, "optimizer_state": {}, "cfg": cfg}


def pytorchvideo(state: State) -> dict[str, Any]:
    return {"model_state": state}


def mmaction2(state: State) -> dict[str, Any]:
    return {"meta": {"epoch": 3, "time": "Mon", "CLASSES": ["a", "b"]}, "state_dict": state}


def caffe2(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """PySlowFast's names, written as Caffe2 has them, with what its training leaves in a file."""
    blobs = {caffe2_name(name): value.numpy() for name, value in state.items() if not name.endswith("tracked")}
    momentum = {f"{name}_momentum": value for name, value in blobs.items() if name.endswith("_w")}
    return {"blobs": blobs | momentum | {"lr": np.float32(0.1), "model_iter": np.array([7.0])}}


def caffe2_name(name: str) -> str:
    """`s3.pathway1_res2.branch2.a_bn.weight` -> `t_res3_2_branch2a_bn_s`."""
    module, _, leaf = name.rpartition(".")
    norm = module.endswith("bn")
    short = {"weight": "s" if norm else "w", "bias": "b", "running_mean": "rm", "running_var": "riv"}[leaf]
    last = {"2": 2, "3": 3, "4": 5}  # the last block of each stage that feeds the slow path
    if module == "head.projection":
        return f"pred_{short}"
    if fuse := re.fullmatch(r"s(\d)_fuse\.(conv_f2s|bn)", module):
        after = "t_pool1" if fuse[1] == "1" else f"t_res{fuse[1]}_{last[fuse[1]]}_branch2c_bn"
        return f"{after}_subsample{'_bn' if norm else ''}_{short}"
    stage, path, rest = re.fullmatch(r"s(\d)\.pathway(\d)_(.*)", module).groups()
    prefix = "t_" if path == "1" else ""
    if rest.startswith("stem."):
        return f"{prefix}res_conv1_bn_{short}" if norm else f"{prefix}conv1_{short}"
    if extra := re.fullmatch(r"nonlocal(\d)\.(conv_)?(\w+)", rest):
        return f"nonlocal_conv{stage}_{extra[1]}_{extra[3]}_{short}"
    block, branch = re.fullmatch(r"res(\d+)\.(.*)", rest).groups()
    return f"{prefix}res{stage}_{block}_{branch.replace('branch2.', 'branch2')}_{short}"


def write(path: Path, content: Any) -> Path:
    """As the peer does: by torch.save, or as Caffe2's pickle."""
    if path.suffix == ".pkl":
        path.write_bytes(pickle.dumps(content, protocol=2))
    else:
        torch.save(content, path)
    return path
