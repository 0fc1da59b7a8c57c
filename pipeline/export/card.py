"""The model card: README.md beside exported files, which says how they are run and what they are worth."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import timm

from pipeline.core.markdown import text_table
from pipeline.core.task import MULTI_LABEL, Task
from pipeline.export import snippets
from pipeline.export.description import (
    Description,
    FlowDescription,
    FusionDescription,
    Kind,
    ModelDescription,
    SoundDescription,
)
from pipeline.export.figures import Figures
from pipeline.flow.config import FlowConfig
from pipeline.pretrained.report import in_words

WHAT: dict[Kind, str] = {
    "frames": "A video classifier",
    "flow": "A classifier of the optical flow of videos",
    "sound": "A classifier of the sound of videos",
}
WITHOUT: dict[Kind, str] = {"flow": "without flow, as one of a single frame,", "sound": "without sound,"}
"""What a video is of which a member has nothing to say."""
DATA = ("frames", "sound", "flow", "features")
"""What a model may have learnt from, as recipes call it."""


def of_model(
    told: Description | SoundDescription, recipe: Mapping[str, Any], figures: Figures, differences: Mapping[str, float]
) -> str:
    """The card of a model; `differences` has each file's ending, and its largest difference from the network."""
    named = {f"{told.model}{suffix}": difference for suffix, difference in differences.items()}
    parts = [
        f"# {told.model}",
        (
            f"{WHAT[told.takes]}: a network `{told.arch}` that gives a logit for each of {len(told.classes)} classes. "
            f"{_task(told.task)} The metadata of the files describe its input and name its classes, as JSON."
        ),
        *_files(named),
        *_how(told, next(iter(named))),
        "## Input",
        *_input(told),
        *_worth(figures),
        "## Data and licence",
        f"{_classes(told.classes)}\n\n{_origin(told.model, recipe, told.weights_sha256)}",
    ]
    return "\n\n".join(parts) + "\n"


def of_ensemble(
    told: FusionDescription, firsts: Sequence[Description | SoundDescription],
    recipes: Mapping[str, Mapping[str, Any]], figures: Figures, differences: Mapping[str, float],
) -> str:  # fmt: skip
    """The card of an ensemble.

    Args:
        firsts: describe the first member of each kind under the fused protocol.
        differences: name of each graph, that of the fusion last -> its largest difference from the network.
    """
    fusion = list(differences)[-1]
    named = {member.file: differences[member.model] for member in told.members} | {fusion: differences[fusion]}
    shares = [sum(row) / len(row) for row in told.weights]
    rows = [[m.model, f"{share:.4f}"] for m, share in zip(told.members, shares, strict=True)]
    fused = "geometric mean of odds" if told.task == MULTI_LABEL else "geometric mean"
    how = "mean of probabilities" if told.mean == "probability" else f"{fused} (a mean of logits)"
    parts = [
        "# Ensemble",
        (
            f"{len(told.members)} video classifiers, and `{fusion}`, a graph that makes one answer of theirs. "
            f"{_task(told.task)}"
        ),
        *_files(named),
        "## Run it",
        (
            f"Every member gets the views of the protocol `{told.protocol}`, as its own metadata describe them, in "
            f"their order; the members' frames and sizes differ. `{fusion}` takes all logits, an input (videos, "
            "views, classes) a member: it turns them into probabilities, averages them over the views, and the members "
            f"by their weights, as a {how}.{_partial(told)} With this pipeline: `pipeline predict VIDEO --onnx "
            f"{fusion}`. Without it:"
        ),
        snippets.of_ensemble(told, fusion),
        "\n".join(text_table(["member", "weight (mean over classes)"], rows)),
        "## Input",
        *(
            part
            for first in firsts
            for part in (
                f"Of `{first.model}`; the metadata of others that take {first.takes} have theirs.",
                *_input(first),
            )
        ),
        *_worth(figures),
        "## Data and licence",
        _classes(told.classes),
        *(_origin(member.model, recipes[member.model], member.weights_sha256) for member in told.members),
    ]
    return "\n\n".join(parts) + "\n"


def _task(task: Task) -> str:
    if task == MULTI_LABEL:
        return "A video may show several classes: the sigmoid of each logit is the probability of its class."
    return "A video shows one class: the softmax of the logits are the probabilities, which sum to 1."


def _files(differences: Mapping[str, float]) -> list[str]:
    rows = [[f"`{name}`", f"{difference:.1e}"] for name, difference in differences.items()]
    return ["## Files", "\n".join(text_table(["file", "largest difference from the trained network"], rows))]


def _partial(told: FusionDescription) -> str:
    """What is to be said of members that do not see every video."""
    lacking = {
        kind: ", ".join(f"`{member.model}`" for member in told.members if member.takes == kind) for kind in WITHOUT
    }
    where = [f"in a video {WITHOUT[kind]} for {names}" for kind, names in lacking.items() if names]
    if not where:
        return ""
    return (
        f" `sees` (videos, members) is false {' and '.join(where)}: the logits of a member that is left out may be any "
        "numbers, and the weights of the others are divided by their sum."
    )


def _how(told: ModelDescription, file: str) -> list[str]:
    if not file.endswith(".onnx"):
        hears = told.takes == "sound"
        fed = "(sounds)` gives the logits of windows" if hears else "(clips)` gives the logits of normalised clips"
        return ["## Run it", f"`torch.export.load({file!r}).module(){fed} (see below)."]
    code = snippets.of_model(told, file)
    return ["## Run it", f"With this pipeline: `pipeline predict VIDEO --onnx {file}`. Without it:", code]


def _input_of_sound(told: SoundDescription) -> list[str]:
    spec, number = told.input, len(told.grid.protocols[told.protocol])
    of = f"the mean of the probabilities of {number} windows, evenly spaced" if number > 1 else "that of its middle"
    return [
        "\n".join(
            [
                (
                    f"* sound: mono, {spec.rate} samples a second; a window has {told.samples}, "
                    f"{told.samples / spec.rate:g} s, and a shorter sound begins again until it has as many"
                ),
                (
                    "* values: int16, as a WAV file of 16 bits has them. The graph itself makes the image of them: "
                    f"{spec.mels} bands from {spec.low:g} to {spec.high:g} Hz (`input` in the metadata)"
                ),
                f"* layout: int16 (windows, {told.samples}), any number of windows",
                f"* views: the answer of a video is {of} (`grid` in the metadata lists them)",
            ]
        )
    ]


def _input(told: Description | SoundDescription) -> list[str]:
    """The list of what a clip is; and what is to be known of flow by another program."""
    if isinstance(told, SoundDescription):
        return _input_of_sound(told)
    extract, flow = told.extract, told.flow if isinstance(told, FlowDescription) else None
    scales = dict.fromkeys(told.grid.seen[number].scale for number in told.grid.protocols[told.protocol])
    sizes = ", ".join(f"{scale.side} ({scale.crop})" for scale in scales)
    what, planes, values = ("frames", "3", "RGB in 0..1") if flow is None else ("flows", "2: x, y", "levels / 255")
    lines = [
        f"* frames: extracted at {extract.fps} a second, with a short side of at most {extract.short_side} pixels",
        *_made(flow),
        f"* clip: {_clip(told, what)}",
        f"* sizes: {what} are resized to a short side, and cropped to a square: {sizes} pixels",
        f"* values: {values}, minus {list(told.input.mean)}, divided by {list(told.input.std)}",
        f"* layout: float32 (clips, {planes}, {told.sampler.length}, height, width), any number of clips",
        f"* views: the answer of a video is {_views(told)} (`grid` in the metadata lists them)",
    ]
    return ["\n".join(lines), *_foreign(flow)]


def _made(flow: FlowConfig | None) -> list[str]:
    """How flow is made of frames."""
    if flow is None:
        return []
    sized = "" if flow.short_side is None else f", with a short side of at most {flow.short_side} pixels"
    return [
        (
            f"* flow: from each frame to the next, in grey{sized}, by OpenCV's dense inverse search (`{flow.preset}`, "
            "one thread): by how many pixels each one moves to the right (x) and down (y)"
        ),
        (
            f"* levels of flow: 8 bits, 128 plus {127.5 / flow.bound:g} for each pixel, rounded, and cut beyond "
            f"{flow.bound:g} pixels; a grey JPEG of quality {flow.quality} for x and one for y. They stay as they are "
            "when flow is resized"
        ),
    ]


def _clip(told: Description, what: str) -> str:
    """What a clip is made of."""
    sampler = told.sampler
    each = f"{sampler.consecutive} consecutive ones" if sampler.consecutive > 1 else "one"
    which = (
        f"{each} of each of {sampler.frames} equal parts of the video"
        if sampler.stride is None
        else f"{sampler.frames} that lie {sampler.stride} apart"
    )
    return f"{sampler.length} {what}, {which}"


def _views(told: Description) -> str:
    """The mean that is the answer."""
    views = told.grid.protocols[told.protocol]
    if len(views) == 1:
        return "that of one clip from its middle, cropped at the centre"
    clips, crops = told.grid.views[views[0]].clips, {told.grid.seen[number].crop for number in views}
    along = f"{clips} along time, at each size, with {len(crops)} crops"
    return f"the mean of the probabilities of {len(views)} clips: {along}"


def _foreign(flow: FlowConfig | None) -> list[str]:
    """What is to be known where a model has learnt from the flow of another program."""
    if flow is None or flow.folder is None:
        return []
    return [
        (
            f"It has learnt from flow that another program has computed (a folder `{flow.folder}`), and its figures "
            "are of such flow. Of a new video, this pipeline cannot compute that: what is described above is what "
            "`pipeline predict` computes instead, and answers may be worse. Flow by that program can be fed in the "
            "same layout."
        )
    ]


def _worth(figures: Figures) -> list[str]:
    if not figures.rows:
        return ["## Figures", "None: the run has not tested these weights (`dvc repro` does)."]
    rows = [
        [row.split, row.what, f"{row.value:.2f}", f"{row.ends[0]:.2f} to {row.ends[1]:.2f}"] for row in figures.rows
    ]
    counted = ", ".join(f"{number} {split}" for split, number in figures.videos.items())
    table = "\n".join(text_table(["split", "views or weights", figures.metric, "95 % interval"], rows))
    return ["## Figures", f"{figures.metric[0].upper()}{figures.metric[1:]} in percent; videos: {counted}.", table]


def _classes(classes: Iterable[str]) -> str:
    return f"Classes, in the order of the logits: {', '.join(f'`{name}`' for name in classes)}."


def _origin(model: str, recipe: Mapping[str, Any], weights_sha256: str) -> str:
    """Where a model's weights come from, as far as its recipe says."""
    start = recipe.get("train", {}).get("pretrained")
    began = f"started from `{start}`" if start else "started from random values"
    data = recipe.get("data", {})
    seen = next((what for what in DATA if what in data), "")
    prints = f" Fingerprints of its {seen} and labels: {data[seen]}, {data['labels']}." if seen else ""
    return f"`{model}` (SHA-256 of model.safetensors: {weights_sha256}) {began}.{prints} {_licence(recipe)}"


def _licence(recipe: Mapping[str, Any]) -> str:
    """What is known of the licence of the weights that a model started from: by the recipe, or by timm for its own."""
    if licence := recipe.get("licence"):
        return f"Licence of the weights it started from: {in_words(licence)}."
    if recipe.get("pretrained", {}).get("source") == "timm":
        backbone = recipe["options"]["backbone"]
        if (told := timm.get_pretrained_cfg(backbone)) and told.license:
            return f"The recipe names no licence; timm's weights of `{backbone}` are under: {in_words(told.license)}."
    return "The recipe names no licence."
