"""The sets of tensors in a checkpoint: which there are, which one is meant, and what wrappers called its tensors.

A trainer may keep several beside one another, such as the weights and their moving average (EMA), whose figures differ.
Which one is meant is then asked for.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.core.errors import UserError
from pipeline.pretrained import safe_pickle, torch_zip

CONTAINERS = ("state_dict", "model_state", "model", "blobs", "module", "net", "network", "model_state_dict")
"""Keys under which programs keep the tensors of a model."""
AVERAGES = ("state_dict_ema", "model_ema", "ema_state_dict", "ema_model", "ema", "teacher", "student")
"""Keys under which programs keep other weights of the same model: moving averages, and both sides of a distillation."""
BARE = "no container"
PARALLEL = "module."
"""Prefix that data-parallel wrappers put in front of every name."""
WRAPPERS = (PARALLEL, "_orig_mod.", "model.")
"""Prefixes of names: of data-parallel wrappers, of torch.compile, of modules of Lightning that hold a network."""
COUNTS = ("n_averaged", "steps")
"""Entries beside the network of PyTorch's AveragedModel and of mmengine's, which are no weights."""
SWAPPED = "message_hub"
"""Key by which a file of mmengine is known: as it saves, its EMAHook puts the average under `state_dict`."""
TWIN = "ema_"
"""Prefix of the averages that mmaction2 0.x keeps beside the weights, with underscores for the dots of their names."""
SHARDS = ("DTensor", "_rebuild_from_type_v2")
"""Class of what FSDP keeps in place of a tensor, the part of one process; and what files of such classes ask for."""
WHOLE = (Tensor, nn.Parameter)
_LARGEST_COPY = 1 << 30
"""Most bytes of a tensor that is larger than its data, as one number for all of it; a small file can say terabytes."""


def choose(content: Any, path: Path, chosen: str | None = None) -> tuple[dict[str, Tensor], str]:
    """The tensors by name of one set in the content of a file, and the key that they were under.

    Args:
        content: what the file holds.
        path: the file, for messages.
        chosen: the key of the set that is meant; None where there is one.

    Raises:
        UserError: there is no set, none of that key, or several of which none is chosen; or an object stands where a
            tensor should.
    """
    found = _sets(content)
    if not found:
        raise _nothing(content, path)
    if chosen is None and len(found) == 1:
        ((key, tensors),) = found.items()
        return tensors, key
    if chosen in found:
        return found[chosen], chosen
    listed = ", ".join(f"{key} ({len(tensors)} tensors)" for key, tensors in found.items())
    if chosen is not None:
        raise UserError(f"{path} has no set of weights {chosen!r}. It has: {listed}.")
    advice, better = "An average (ema) is most often the better one.", list(found)[-1]
    if SWAPPED in content and {"state_dict", "ema_state_dict"} <= {*found}:
        advice, better = "mmengine keeps the average, most often the better one, under state_dict.", "state_dict"
    raise UserError(
        f"{path} holds several sets of weights: {listed}. Say which is meant: train.pretrained_set: {better}, or "
        f"`pipeline checkpoint --set`. {advice}"
    )


def unwrapped(tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """The tensors without the prefixes that wrappers gave to all of them, and these prefixes, the outermost first.

    A prefix is taken off once: what has it twice was called so.
    """
    taken: list[str] = []
    names = dict(tensors)
    while prefix := next((w for w in WRAPPERS if w not in taken and names and all(n.startswith(w) for n in names)), ""):
        names = {name.removeprefix(prefix): tensor for name, tensor in names.items()}
        taken.append(prefix)
    return names, tuple(taken)


def _sets(content: Any) -> dict[str, dict[str, Tensor]]:
    """Key -> the tensors under it."""
    if not isinstance(content, Mapping):
        return {}
    known = {key: tensors for key in (*CONTAINERS, *AVERAGES) if (tensors := _state(content.get(key)))}
    found = known or ({BARE: tensors} if (tensors := _state(content)) else {})
    for key, tensors in list(found.items()):
        twins = {TWIN + name.replace(".", "_"): name for name in tensors}
        if averages := {twins[name]: tensor for name, tensor in tensors.items() if name in twins}:
            found[key] = {name: tensor for name, tensor in tensors.items() if name not in twins}
            found[f"{key}:{TWIN}"] = {**found[key], **averages}
    return found


def _state(value: Any) -> dict[str, Tensor]:
    """A mapping of names to tensors; an empty one where the value is anything else."""
    if not isinstance(value, Mapping):
        return {}
    tensors = {key: tensor for key, entry in value.items() if (tensor := _tensor(entry)) is not None}
    if len(tensors) != len(value) or not all(isinstance(key, str) for key in tensors):
        return {}
    weights = {key: tensor for key, tensor in tensors.items() if key not in COUNTS}
    return weights if all(key.startswith(PARALLEL) for key in weights) else tensors


def _tensor(value: Any) -> Tensor | None:
    if isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind in "biuf":
        return torch.from_numpy(np.array(value, dtype=value.dtype.newbyteorder("=")))
    if isinstance(value, Tensor) and value.layout == torch.strided and value.nbytes > value.untyped_storage().nbytes():
        value = value.clone() if value.nbytes <= _LARGEST_COPY else None
    return value.detach() if type(value) in WHOLE else None


def _nothing(content: Any, path: Path) -> UserError:
    """The error about a file without a set: an object stands where a tensor should, or there is nothing."""
    known = [content.get(key) for key in (*CONTAINERS, *AVERAGES)] if isinstance(content, Mapping) else []
    for part in (*known, content):
        if any(name.endswith(SHARDS) for name in (*torch_zip.inert_names(part), *_kinds(part))):
            return UserError(
                f"{path} holds no plain tensors, but one process' shards of them most likely, as FSDP has them. Save "
                "the whole: `torch.distributed.checkpoint.state_dict.get_model_state_dict(model, "
                "options=StateDictOptions(full_state_dict=True, cpu_offload=True))`."
            )
        if inert := torch_zip.inert_names(part):
            return safe_pickle.refusal(path, inert[0])
    holds = f"a dict with {', '.join(map(repr, list(content)[:6]))}" if isinstance(content, Mapping) else type(content)
    return UserError(
        f"{path} holds no tensors by name: it is {holds}. They are looked for under {', '.join(CONTAINERS)}, or as the "
        f"whole file; save a model's state_dict()."
    )


def _kinds(value: Any) -> set[str]:
    """Classes of the values of a dict."""
    return {type(entry).__name__ for entry in value.values()} if isinstance(value, Mapping) else set()
