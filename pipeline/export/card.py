"""The model card: README.md beside exported files, which says how they are run and what they are worth."""

import textwrap
from collections.abc import Iterable, Mapping
from typing import Any

import timm

from pipeline.core.markdown import text_table
from pipeline.core.task import MULTI_LABEL, Task
from pipeline.export.description import Description, FusionDescription, ModelDescription, SoundDescription
from pipeline.export.figures import Figures
from pipeline.pretrained.report import in_words

RUN_ONE = """\
```python
import json, numpy as np, onnxruntime

session = onnxruntime.InferenceSession("{file}")
told = {{name: json.loads(text) for name, text in session.get_modelmeta().custom_metadata_map.items()}}
mean, std = (np.array(told["input"][name], np.float32).reshape(3, 1, 1, 1) for name in ("mean", "std"))
pixels = np.zeros((1, 3, {frames}, {crop}, {crop}), np.uint8)  # RGB: clips, colours, frames, height, width
(logits,) = session.run(None, {{"clips": ((pixels / 255 - mean) / std).astype(np.float32)}})
{probabilities}
print(dict(zip(told["classes"], probabilities.mean(axis=0))))  # the mean over the clips of a video
```"""
"""How one graph is run, without this pipeline."""
RUN_SOUND = """\
```python
import json, numpy as np, onnxruntime

session = onnxruntime.InferenceSession("{file}")
told = {{name: json.loads(text) for name, text in session.get_modelmeta().custom_metadata_map.items()}}
sounds = np.zeros((1, told["samples"]), np.int16)  # windows, samples: mono, as a WAV file of 16 bits has them
(logits,) = session.run(None, {{"sounds": sounds}})
{probabilities}
print(dict(zip(told["classes"], probabilities.mean(axis=0))))  # the mean over the windows of a video
```"""
"""The same of one that hears."""
DATA = ("frames", "sound", "flow", "features")
"""What a model may have learnt from, as recipes call it."""
PROBABILITIES = {
    True: "probabilities = 1 / (1 + np.exp(-logits))",
    False: "probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)",
}
RUN_FUSION = """\
```python
import json, numpy as np, onnxruntime

fusion = onnxruntime.InferenceSession("{file}")
told = {{name: json.loads(text) for name, text in fusion.get_modelmeta().custom_metadata_map.items()}}
logits = {{}}
for member in told["members"]:
    session = onnxruntime.InferenceSession(member["file"])
    own = {{name: json.loads(text) for name, text in session.get_modelmeta().custom_metadata_map.items()}}
    views = own["grid"]["protocols"][told["protocol"]]  # a clip each: own["grid"]["views"][number]
{clips}
    logits[member["model"]] = session.run(None, clips)[0][None]  # videos, views, classes
{sees}\
(probabilities,) = fusion.run(None, logits)
print(dict(zip(told["classes"], probabilities[0])))
```"""
"""How the graphs of an ensemble are run, without this pipeline."""
CLIPS = """\
    crop = own["grid"]["views"][views[0]]["scale"]["crop"]
    frames = own["sampler"]["frames"] * own["sampler"]["consecutive"]
    shape = len(views), 3, frames, crop, crop
    clips = {"clips": np.zeros(shape, np.float32)}  # normalised; a call a size"""
SOUNDS = """\
    clips = {"sounds": np.zeros((len(views), own["samples"]), np.int16)}"""
SEES = """\
logits["sees"] = np.ones((1, len(told["members"])), bool)  # videos, members: False of those that hear, without sound
"""


def of_model(
    told: Description | SoundDescription, recipe: Mapping[str, Any], figures: Figures, differences: Mapping[str, float]
) -> str:
    """The card of a model; `differences` has each file's ending, and its largest difference from the network."""
    what = "A classifier of the sound of videos" if told.hears else "A video classifier"
    named = {f"{told.model}{suffix}": difference for suffix, difference in differences.items()}
    parts = [
        f"# {told.model}",
        (
            f"{what}: a network `{told.arch}` that gives a logit for each of {len(told.classes)} classes. "
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
    told: FusionDescription, first: Description | SoundDescription, recipes: Mapping[str, Mapping[str, Any]],
    figures: Figures,
    differences: Mapping[str, float],
) -> str:  # fmt: skip
    """The card of an ensemble.

    Args:
        first: describes its first member under the fused protocol.
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
        _run_fusion(told, fusion),
        "\n".join(text_table(["member", "weight (mean over classes)"], rows)),
        "## Input",
        "Of the first member; the others' metadata have theirs.",
        *_input(first),
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


def _run_fusion(told: FusionDescription, file: str) -> str:
    """The code that runs an ensemble; `own` says whether a member hears."""
    hear = [member.hears for member in told.members]
    clips = CLIPS
    if all(hear):
        clips = SOUNDS
    elif any(hear):
        seeing, hearing = (textwrap.indent(part, "    ") for part in (CLIPS, SOUNDS))
        clips = f'    if member["hears"]:\n{hearing}\n    else:\n{seeing}'
    return RUN_FUSION.format(file=file, clips=clips, sees=SEES if any(hear) else "")


def _partial(told: FusionDescription) -> str:
    """What is to be said of members that do not see every video."""
    if not any(member.hears for member in told.members):
        return ""
    hearing = [f"`{member.model}`" for member in told.members if member.hears]
    hear = "hear" if len(hearing) > 1 else "hears"
    return (
        f" {', '.join(hearing)} {hear}: in a video without sound, `sees` (videos, members) is false there, the logits "
        "may be any numbers, and the weights of the others are divided by their sum."
    )


def _how(told: ModelDescription, file: str) -> list[str]:
    if not file.endswith(".onnx"):
        fed = "(sounds)` gives the logits of windows" if told.hears else "(clips)` gives the logits of normalised clips"
        return ["## Run it", f"`torch.export.load({file!r}).module(){fed} (see below)."]
    probabilities = PROBABILITIES[told.task == MULTI_LABEL]
    if isinstance(told, Description):
        code = RUN_ONE.format(file=file, frames=told.sampler.length, crop=told.crops[0], probabilities=probabilities)
    else:
        code = RUN_SOUND.format(file=file, probabilities=probabilities)
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
    if isinstance(told, SoundDescription):
        return _input_of_sound(told)
    sampler, views = told.sampler, told.grid.protocols[told.protocol]
    each = f"{sampler.consecutive} consecutive ones" if sampler.consecutive > 1 else "one"
    which = (
        f"{each} of each of {sampler.frames} equal parts of the video"
        if sampler.stride is None
        else f"{sampler.frames} that lie {sampler.stride} apart"
    )
    scales = dict.fromkeys(told.grid.seen[number].scale for number in views)
    sizes = ", ".join(f"{scale.side} ({scale.crop})" for scale in scales)
    clips, crops = told.grid.views[views[0]].clips, {told.grid.seen[number].crop for number in views}
    mean = f"mean of the probabilities of {len(views)} clips: {clips} along time, at each size, with {len(crops)} crops"
    of = f"the {mean}" if len(views) > 1 else "that of one clip from its middle, cropped at the centre"
    return [
        "\n".join(
            [
                (
                    f"* frames: extracted at {told.extract.fps} a second, with a short side of at most "
                    f"{told.extract.short_side} pixels; a clip has {sampler.length}, {which}"
                ),
                f"* sizes: frames are resized to a short side, and cropped to a square: {sizes} pixels",
                f"* values: RGB in 0..1, minus {list(told.input.mean)}, divided by {list(told.input.std)}",
                f"* layout: float32 (clips, 3, {sampler.length}, height, width), any number of clips",
                f"* views: the answer of a video is {of} (`grid` in the metadata lists them)",
            ]
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
