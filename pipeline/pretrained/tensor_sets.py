"""The sets of tensors in a checkpoint: which there are, which one is meant, and what wrappers called its tensors.

A trainer may keep several beside one another, such as the weights and their moving average (EMA), whose figures differ.
Which one is meant is then asked for.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.core.errors import UserError
from pipeline.pretrained import safe_pickle, torch_zip

CONTAINERS = ("state_dict", "model_state", "model", "blobs", "module", "net", "network", "model_state_dict", "student")
"""Keys under which programs keep the tensors of a model."""
AVERAGES = ("state_dict_ema", "model_ema", "ema_state_dict", "ema_model", "ema", "teacher")
"""Keys under which programs keep the moving average of the same model, as the teacher of a distillation is."""
BARE = "no container"
PARALLEL = "module."
"""Prefix that data-parallel wrappers put in front of every name."""
WITHIN = ("_orig_mod.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module.")
"""Words in names of torch.compile, FSDP and recomputing of activations, which may wrap single layers, too."""
WRAPPERS = (PARALLEL, *WITHIN, "_forward_module.", "model.", "net.", "network.")
"""Prefixes of names: also of data-parallel wrappers and Fabric, and of modules of Lightning that hold a network."""
COUNTS = ("n_averaged", "steps")
"""Entries beside the network of PyTorch's AveragedModel and of mmengine's, which are no weights."""
LOSSES = ("criterion", "loss", "loss_fn")
"""First words of names beside the network in a module of Lightning whose loss has numbers, which are no weights."""
EXTRA = "_extra_state"
"""Last word of the names of what a layer saves besides tensors."""
SWAPPED = "message_hub"
"""Key by which a file of mmengine is known: as it saves, its EMAHook puts the average under `state_dict`."""
TWIN = "ema_"
"""Prefix of the averages that mmaction2 0.x keeps beside the weights, with underscores for the dots of their names."""
SHARDS = ("DTensor", "_rebuild_from_type_v2")
"""Class of what FSDP keeps in place of a tensor, the part of one process; and what files of such classes ask for."""
WHOLE = (Tensor, nn.Parameter)
_DEEPEST = 2
"""Number of mappings that one with tensors may lie in, besides that of the whole file."""
_SHOWN = 12
"""Number of sets that a message lists."""
_LARGEST_COPY = 1 << 30
"""Most bytes of a tensor that is larger than its data, as one number for all of it; a small file can say terabytes."""


def choose(content: Any, path: Path, chosen: str | None = None) -> tuple[dict[str, Tensor], str]:
    """The tensors by name of one set in the content of a file, and the key that they were under.

    Args:
        content: what the file holds.
        path: the file, for messages.
        chosen: the key of the set that is meant; None where there is one.

    Raises:
        UserError: there is no set, none of that key, or several of which none is chosen, be it that the tensors of
            others have no names; or an object stands where a tensor should.
    """
    found, others = _sets(content)
    if chosen in found:
        return found[chosen], chosen
    if chosen in others:
        return others[chosen], chosen
    if not found:
        raise _nothing(content, path, others)
    nameless = {key: shapes for key, shapes in _lists(content, "", set()) if _fit(shapes, found.values())}
    listed = ", ".join(
        [_listed(found), *(f"{key} ({its.total()} tensors without names)" for key, its in nameless.items())]
    )
    if chosen is not None:
        raise UserError(f"{path} has no set of weights {chosen!r}. It has: {listed}.")
    if len(found) == 1 and not nameless:
        ((key, tensors),) = found.items()
        return tensors, key
    advice, better = "", next(iter(found))
    averages = [key for key in found if any(map(_is_average, re.split("[.:]", key)))]
    if averages:
        advice, better = " An average (ema) is most often the better one.", averages[0]
    if SWAPPED in content and {"state_dict", "ema_state_dict"} <= {*found}:
        advice, better = " mmengine keeps the average, most often the better one, under state_dict.", "state_dict"
    if nameless:
        advice += (
            " What has no names cannot be loaded: let the program that wrote it put it into the network, and save that "
            "one's state_dict()."
        )
    raise UserError(
        f"{path} holds several sets of weights: {listed}. Say which is meant: train.pretrained_set: {better}, or "
        f"`pipeline checkpoint --set`.{advice}"
    )


def unwrapped(tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """The tensors without the prefixes that wrappers gave to all of them, and these prefixes, the outermost first.

    What wraps single layers (`WITHIN`) is taken out of the midst of their names, too.
    """
    taken: list[str] = []
    names = dict(tensors)
    while prefix := next((w for w in WRAPPERS if names and all(n.startswith(w) for n in names)), ""):
        names = {name.removeprefix(prefix): tensor for name, tensor in names.items()}
        taken.append(prefix)
    for word in WITHIN:
        shorter = {re.sub(rf"(^|\.){word}", r"\1", name): tensor for name, tensor in names.items()}
        if len(shorter) == len(names) and shorter.keys() != names.keys():
            names = shorter
            taken.append(word)
    return names, tuple(taken)


def _sets(content: Any) -> tuple[dict[str, dict[str, Tensor]], dict[str, dict[str, Tensor]]]:
    """Key -> the tensors under it, of those that are a model's; and of all others, whose keys say nothing."""
    if not isinstance(content, Mapping):
        return {}, {}
    others = dict(_states(content, "", set()))
    found = {key: others.pop(key) for key in (*CONTAINERS, *AVERAGES) if key in others}
    if not found and (tensors := _state(content)):
        found[BARE] = tensors
    if not found:
        found = {key: others.pop(key) for key in list(others) if key.split(".")[-1] in (*CONTAINERS, *AVERAGES)}
    for key, tensors in list(others.items()):
        if any(_alike(tensors, known) for known in found.values()):
            found[key] = others.pop(key)
    for key in list(found):
        found |= _twins(key, found[key]) or _halves(key, found)
    return found, others


def _states(content: Mapping[Any, Any], above: str, seen: set[int]) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """Keys of mappings within mappings, joined by dots, and the tensors under them."""
    for key, value in content.items():
        if isinstance(key, str) and isinstance(value, Mapping) and id(value) not in seen:
            seen.add(id(value))
            if tensors := _state(value):
                yield above + key, tensors
            elif above.count(".") < _DEEPEST:
                yield from _states(value, f"{above}{key}.", seen)


def _alike(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    """Whether one is weights of the same network as the other, of which it may lack what is not learnt."""
    theirs, ours = ({name: tensor.shape for name, tensor in unwrapped(some)[0].items()} for some in (one, other))
    return theirs.items() <= ours.items() and 2 * len(theirs) >= len(ours)


def _lists(content: Mapping[Any, Any], above: str, seen: set[int]) -> Iterator[tuple[str, Counter[tuple[int, ...]]]]:
    """Keys of lists of tensors, as torch_ema keeps its averages, joined by dots; and the shapes in each."""
    for key, value in content.items():
        if not isinstance(key, str) or id(value) in seen:
            continue
        if isinstance(value, list | tuple) and all(isinstance(entry, Tensor | np.ndarray) for entry in value):
            yield above + key, Counter(tuple(entry.shape) for entry in value)
        elif isinstance(value, Mapping) and above.count(".") < _DEEPEST:
            seen.add(id(value))
            yield from _lists(value, f"{above}{key}.", seen)


def _fit(shapes: Counter[tuple[int, ...]], sets: Iterable[Mapping[str, Tensor]]) -> bool:
    """Whether tensors without names may be the weights of the same network as a set, as those of `_alike` are."""
    known = [Counter(tuple(tensor.shape) for tensor in tensors.values()) for tensors in sets]
    return any(shapes <= ours and 2 * shapes.total() >= ours.total() for ours in known)


def _is_average(key: str) -> bool:
    return key in AVERAGES or bool({"ema", "swa", "averaged"} & {*key.split("_")})


def _twins(key: str, tensors: dict[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """The weights of a set of mmaction2 0.x, and those with the averages in their places; none where it has none."""
    twins = {TWIN + name.replace(".", "_"): name for name in tensors}
    averages = {twins[name]: tensor for name, tensor in tensors.items() if name in twins}
    weights = {name: tensor for name, tensor in tensors.items() if name not in twins}
    return {key: weights, f"{key}:{TWIN}": {**weights, **averages}} if averages else {}


def _halves(key: str, found: dict[str, dict[str, Tensor]]) -> dict[str, dict[str, Tensor]]:
    """The sets in a module that holds a network and its average, by the first words of their names.

    The set of all is then none any more, and taken out of those that were found.
    """
    by_word: dict[str, dict[str, Tensor]] = {}
    for name, tensor in found[key].items():
        word, dot, rest = name.partition(".")
        if dot and word not in LOSSES:
            by_word.setdefault(word, {})[rest] = tensor
    halves = {f"{key}:{word}.": _state(tensors) for word, tensors in by_word.items()}
    whole = max(halves.values(), key=len, default={})
    if len(halves) < 2 or not any(map(_is_average, by_word)) or not all(_alike(h, whole) for h in halves.values()):
        return {}
    del found[key]
    return halves


def _state(value: Any) -> dict[str, Tensor]:
    """A mapping of names to tensors; an empty one where the value is anything else."""
    if not isinstance(value, Mapping):
        return {}
    entries = {key: entry for key, entry in value.items() if not str(key).endswith(EXTRA)}
    tensors = {key: tensor for key, entry in entries.items() if (tensor := _tensor(entry)) is not None}
    if len(tensors) != len(entries) or not all(isinstance(key, str) for key in tensors):
        return {}
    weights = {key: tensor for key, tensor in tensors.items() if key.partition(".")[0] not in (*COUNTS, *LOSSES)}
    return weights if any(all(key.startswith(prefix) for key in weights) for prefix in WRAPPERS) else tensors


def _tensor(value: Any) -> Tensor | None:
    if isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind in "biuf":
        return torch.from_numpy(np.array(value, dtype=value.dtype.newbyteorder("=")))
    if isinstance(value, Tensor) and value.layout == torch.strided and value.nbytes > value.untyped_storage().nbytes():
        value = value.clone() if value.nbytes <= _LARGEST_COPY else None
    return value.detach() if type(value) in WHOLE else None


def _listed(sets: Mapping[str, Mapping[str, Tensor]]) -> str:
    """Keys of sets, and how many tensors each has, in words."""
    listed = [f"{key} ({len(tensors)} tensors)" for key, tensors in sets.items()]
    return ", ".join(listed[:_SHOWN]) + (f" and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else "")


def _nothing(content: Any, path: Path, others: Mapping[str, Mapping[str, Tensor]]) -> UserError:
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
        if isinstance(part, Mapping) and (strange := _strange(part)):
            return UserError(
                f"{path} holds, among tensors, no tensor under {strange[0]!r}, but {strange[1]}. Save the tensors of a "
                "model's state_dict() alone."
            )
    if others:
        return UserError(
            f"{path} holds tensors under keys that are not known: {_listed(others)}. Say which are the weights: "
            f"train.pretrained_set: {next(iter(others))}, or `pipeline checkpoint --set`."
        )
    holds = f"a dict with {', '.join(map(repr, list(content)[:6]))}" if isinstance(content, Mapping) else type(content)
    return UserError(
        f"{path} holds no tensors by name: it is {holds}. They are looked for under {', '.join(CONTAINERS)}, or as the "
        f"whole file; save a model's state_dict()."
    )


def _strange(state: Mapping[Any, Any]) -> tuple[Any, str] | None:
    """The first key and kind of what is no tensor in a mapping of which most are."""
    strange = [(key, type(entry).__name__) for key, entry in state.items() if _tensor(entry) is None]
    return strange[0] if strange and 2 * len(strange) < len(state) else None


def _kinds(value: Any) -> set[str]:
    """Classes of the values of a dict."""
    return {type(entry).__name__ for entry in value.values()} if isinstance(value, Mapping) else set()
