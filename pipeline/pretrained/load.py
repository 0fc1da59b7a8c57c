"""Loading of pretrained weights into a model: of other projects' checkpoints, image networks and this project's own.

Every entry of the file must find its place and every entry of the model its value. There are five exceptions, and the
report names what each of them left at its start: the classifier of another number of classes; the head of a model whose
encoder alone is published; layers that a video network adds to an image network; batch norms' counters, which old
programs did not save; and convolutions of an image network, which are inflated where the model's look along time.
A first convolution of red, green and blue becomes one of other images, differences of frames or flow, by its mean over
the three (arXiv:1608.00859).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.core import registry
from pipeline.core.errors import UserError
from pipeline.layers import frame_input
from pipeline.layers.frame_input import RGB
from pipeline.layers.frozen import Frozen
from pipeline.layers.normalize import InputSpec
from pipeline.pretrained import class_rows, image_names, infer_config, published_folder, weight_file
from pipeline.pretrained.importers import Translation
from pipeline.pretrained.report import Report
from pipeline.pretrained.weight_file import LIBRARIES, ORIGIN, Weights

AUTO = "auto"
COUNTER = "num_batches_tracked"
SHOWN = 12
"""Number of entries of a kind that a message lists."""


@dataclass(frozen=True)
class Match:
    """Assignment of tensors to the entries of a model; nothing is loaded yet."""

    state: dict[str, Tensor]
    kept: dict[str, tuple[str, ...]] = field(default_factory=dict)
    inflated: tuple[str, ...] = ()
    averaged: tuple[str, ...] = ()


@dataclass(frozen=True)
class Candidate:
    """Weight file whose source is known, before it is matched with a model."""

    where: str
    source: str
    weights: Weights
    translation: Translation

    @classmethod
    def read(cls, path: str | Path, source: str = AUTO, chosen: str | None = None) -> "Candidate":
        """Read the weights of `path`, of the set `chosen` (see `weight_file.read`), under this project's names.

        Raises:
            UserError: the file cannot be read, or none or several of the importers recognise it.
        """
        weight_file.refuse_unknown(path)
        folder = Path(path).is_dir()
        held = published_folder.read(Path(path)) if folder else weight_file.read(path, chosen)
        name = _recognise(held, str(path)) if source == AUTO else source
        return cls(str(path), name, held, registry.find("pretrained/importers", name).translate(held))

    def describe(self) -> str:
        """Text of one line about the network, as its entries show it."""
        seen = infer_config.options(self.translation.tensors)
        if self.translation.image:
            seen = {"arch": "an image network"} | {key: seen[key] for key in seen if key == "blocks"}
        return infer_config.describe(seen)


def load_pretrained(
    model: nn.Module,
    path: str | Path,
    source: str = AUTO,
    classes: Sequence[str] = (),
    chosen: str | None = None,
) -> Report:
    """Load the weights of `path` into `model`.

    Args:
        model: one of this project's; it is changed in place, and not at all when this raises.
        path: a file, or `timm:NAME` or `torchvision:NAME`, see `weight_file.read`; or the folder of a network of
            transformers, see `published_folder.read`.
        source: an importer of pipeline/pretrained/importers; "auto" takes the one that recognises the file.
        classes: names of the model's classes, by which the classifier's rows go where the file has names, too.
        chosen: which set of a file that holds several, see `tensor_sets.choose`.

    Raises:
        UserError: the file cannot be read, none or several of the importers recognise it, or it does not fit the model.
    """
    match, report = plan(model, Candidate.read(path, source, chosen), classes)
    model.load_state_dict(match.state, strict=False)  # `plan` has checked more than strict would
    return report


def plan(model: nn.Module, candidate: Candidate, classes: Sequence[str] = ()) -> tuple[Match, Report]:
    """Match and report of what would be loaded into `model`, which may be on the meta device.

    Raises:
        UserError: the weights do not fit.
    """
    target, translation = model.state_dict(), candidate.translation
    if isinstance(model, Frozen) and translation.encoder:  # a trained head has seen the videos that now choose
        translation = translation.encoder_alone()
    theirs, in_file = translation.classes, infer_config.classes(candidate.translation.tensors)
    translation = replace(translation, tensors=class_rows.arrange(translation.tensors, target, theirs, classes))
    names = image_names.of(model) if translation.image else {name: name for name in target}
    if translation.image and not any(name.startswith("backbone.") for name in names):
        raise UserError(
            f"{candidate.where} is an image network ({candidate.source}), and SlowFast cannot start from one: its fast "
            f"path has no 2D counterpart. Start it from a checkpoint of SlowFast, or take the model slow."
        )
    if class_rows.strangers(theirs, classes):
        replaced: str | None = "no class of the file is one of the model's"
    else:
        replaced = _replacement(target, translation, isinstance(model, Frozen))
    match, problems = _match(target, translation, names, replaced)
    advice = _advice(model, target, translation)
    if problems or translation.needs.keys() & advice.keys():
        raise UserError(_misfit(candidate, infer_config.options(target), advice, problems))
    report = Report(
        where=candidate.where,
        source=candidate.source,
        container=candidate.weights.origin,
        entries=len(match.state),
        file_classes=in_file,
        model_classes=infer_config.classes(target),
        kept=match.kept,
        inflated=match.inflated,
        averaged=match.averaged,
        input=frame_input.of(model).pixels or translation.input or _input_of_backbone(model),
        sha256=candidate.weights.sha256,
        named=class_rows.in_words(theirs, classes, any(map(infer_config.is_classifier, match.state))),
        unused=translation.unused,
        licence=translation.licence,
    )
    return match, report


def _recognise(held: Weights, where: str) -> str:
    """Name of the only importer that recognises these weights."""
    if ORIGIN in held.metadata:
        return _library(held.metadata[ORIGIN], where)
    known = registry.names("pretrained/importers")
    found = [name for name in known if registry.find("pretrained/importers", name).recognises(held)]
    if len(found) == 1:
        return found[0]
    if found:
        raise UserError(f"{where} could be of {' or '.join(found)}. Say which with --source.")
    raise UserError(
        f"{where} is of no known source. Its entries are called {_listed(tuple(held.tensors), SHOWN)}. Known are "
        f"{', '.join(known)}; if it is of one of them all the same, say so with --source. If not, write an importer, "
        f"see pipeline/pretrained/importers/__init__.py."
    )


def _library(origin: Any, where: str) -> str:
    """Name of the library that a file of `Weights.write` is from."""
    name = str(origin.get("name", "")).partition(":")[0] if isinstance(origin, dict) else ""
    if name not in LIBRARIES:
        raise UserError(
            f"{where} says that it is from {origin!r}, which is none of {', '.join(LIBRARIES)}. Fetch it again."
        )
    return name


def _match(
    target: Mapping[str, Tensor], translation: Translation, names: Mapping[str, str | None], replaced: str | None
) -> tuple[Match, dict[str, tuple[str, ...]]]:
    """Match of every tensor, and the problems found: kind of problem -> entries."""
    tensors, kept = dict(translation.tensors), {}
    places = {name: origin for name, origin in names.items() if origin is not None}
    if added := tuple(name for name, origin in names.items() if origin is None):
        kept["an image network has no such layer"] = added
    if fresh := tuple(n for n, origin in places.items() if origin not in tensors and n.startswith(translation.fresh)):
        kept["the file has no such layer"] = fresh
        places = {name: origin for name, origin in places.items() if name not in fresh}
    if replaced:
        kept[replaced] = tuple(filter(infer_config.is_classifier, places))
        places = {name: origin for name, origin in places.items() if not infer_config.is_classifier(name)}
        tensors = {name: tensor for name, tensor in tensors.items() if not infer_config.is_classifier(name)}
    if uncounted := tuple(n for n, origin in places.items() if n.endswith(COUNTER) and origin not in tensors):
        kept["the file does not have it, as in old programs"] = uncounted
        places = {name: origin for name, origin in places.items() if name not in uncounted}

    state, misshapen, unusable = {}, [], []
    changed: dict[str, list[str]] = {}
    for name, origin in places.items():
        tensor = tensors.pop(origin, None)
        wanted = tuple(target[name].shape)
        if tensor is None:
            continue
        if not name.endswith(COUNTER) and not _usable(tensor, target[name].dtype):
            unusable.append(f"{name} ({tensor.dtype})")
        state[name], change = _adapted(tensor, wanted, translation.image)
        changed.setdefault(change, []).append(name)
        if state[name].shape != wanted:
            misshapen.append(f"{name} {tuple(tensor.shape)} for {wanted}")
    problems = {
        "missing from the file": tuple(name for name in places if name not in state),
        "without a place in the model": tuple(tensors),
        "of another shape than the model's": tuple(misshapen),
        "no finite floating-point numbers": tuple(unusable),
    }
    inflated, averaged = (tuple(changed.get(change, ())) for change in ("inflated", "averaged"))
    return Match(state, kept, inflated, averaged), {kind: found for kind, found in problems.items() if found}


def _usable(tensor: Tensor, dtype: torch.dtype) -> bool:
    """Whether it has numbers that torch converts (no float4), finite in the model's type, whose range may be less."""
    plain = tensor.layout == torch.strided and not tensor.is_meta and tensor.is_floating_point()
    return plain and "float4" not in str(tensor.dtype) and bool(tensor.to(dtype).isfinite().all())


def _adapted(tensor: Tensor, wanted: tuple[int, ...], image: bool) -> tuple[Tensor, str]:
    """A convolution as a model has it that looks along time or at other images, and what was done to it, if anything.

    Args:
        wanted: the model's shape.
        image: whether it is an image network's.
    """
    shape = tuple(tensor.shape)
    if image and len(shape) == 4 and wanted == (*shape[:2], *wanted[2:3], *shape[2:]):
        return tensor.unsqueeze(2).expand(wanted) / wanted[2], "inflated"
    if shape[1:2] == (RGB.channels,) and len(shape) == 4 and wanted == (*shape[:1], *wanted[1:2], *shape[2:]) != shape:
        return tensor.mean(dim=1, keepdim=True).expand(wanted), "averaged"
    return tensor, ""


def _replacement(target: Mapping[str, Tensor], translation: Translation, frozen: bool) -> str | None:
    """Reason why the classifier stays at its start; None if it is loaded."""
    sides = translation.tensors, target
    theirs, ours = ({name: side[name].shape for name in side if infer_config.is_classifier(name)} for side in sides)
    counts = infer_config.classes(translation.tensors), infer_config.classes(target)
    if None not in counts and counts[0] != counts[1]:
        return f"the file has {counts[0]} classes, the model {counts[1]}"
    if translation.image and not theirs:
        return "the file has no classifier"
    if translation.image and None not in counts and (frozen or not ours.keys() & theirs.keys()):
        return "the image network's classifier is another layer"
    return None


def _advice(model: nn.Module, target: Mapping[str, Tensor], translation: Translation) -> dict[str, tuple[Any, Any]]:
    """Option -> what the file needs and what the model has, where they differ."""
    theirs, ours = infer_config.options(translation.tensors), infer_config.options(target)
    if isinstance(model, Frozen) and theirs.get("arch") in infer_config.ENCODERS:
        theirs["arch"] = infer_config.probe_of(theirs["arch"])
    other = theirs.get("arch") != ours.get("arch")  # whose options say nothing of the model's
    shared = {"blocks"} if translation.image else {"arch"} if other else {*theirs, *ours}
    shared -= {"input"} - theirs.keys()  # colours become other images by themselves, see `_adapted`
    advice = {key: (theirs.get(key), ours.get(key)) for key in sorted(shared) if theirs.get(key) != ours.get(key)}
    for option, needed in translation.needs.items():
        values = [getattr(m, "built_with", {}).get(option, getattr(m, option, None)) for m in model.modules()]
        if different := [v for v in values if v not in (None, needed) and not isinstance(v, nn.Module)]:
            advice[option] = (needed, different[0])
    return advice


def _misfit(
    candidate: Candidate, ours: Mapping[str, Any], advice: Mapping[str, tuple[Any, Any]],
    problems: Mapping[str, tuple[str, ...]],
) -> str:  # fmt: skip
    """Message about all that is wrong, and the options that would mend it."""
    lines = [
        f"{candidate.where} does not fit the model, of which nothing was changed.",
        f"  The file ({candidate.source}) seems to be: {candidate.describe()}.",
        f"  The model is: {infer_config.describe(ours)}.",
    ]
    for option, (needed, has) in advice.items():
        name = "backbone, depth or blocks, so that the blocks are" if option == "blocks" else f"{option}:"
        lines.append(f"  Set {name} {infer_config.show(needed)} (the model has {infer_config.show(has)}).")
    lines += [f"  {len(names)} entries are {kind}: {_listed(names, SHOWN)}." for kind, names in problems.items()]
    return "\n".join(lines)


def _input_of_backbone(model: nn.Module) -> InputSpec | None:
    """Input that timm names for the architecture, for files that do not tell."""
    config = getattr(getattr(model, "backbone", None), "pretrained_cfg", {})
    return InputSpec(tuple(config["mean"]), tuple(config["std"])) if "mean" in config else None


def _listed(names: tuple[str, ...], limit: int) -> str:
    rest = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + rest
