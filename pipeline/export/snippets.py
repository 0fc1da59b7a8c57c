"""The code of a model card: how files are run, by onnxruntime and without this pipeline."""

import textwrap

from pipeline.core.task import MULTI_LABEL
from pipeline.export.description import Description, FlowDescription, FusionDescription, ModelDescription

OPEN = """\
session = onnxruntime.InferenceSession("{file}")
told = {{name: json.loads(text) for name, text in session.get_modelmeta().custom_metadata_map.items()}}
"""
NORMALISED = """\
mean, std = (np.array(told["input"][name], np.float32).reshape(-1, 1, 1, 1) for name in ("mean", "std"))
"""
ANSWER = """\
{probabilities}
print(dict(zip(told["classes"], probabilities.mean(axis=0))))  # the mean over the {views} of a video
"""
RUN_FRAMES = f"""\
import json, numpy as np, onnxruntime

{OPEN}{NORMALISED}\
pixels = np.zeros((1, 3, {{frames}}, {{crop}}, {{crop}}), np.uint8)  # RGB: clips, colours, frames, height, width
(logits,) = session.run(None, {{{{"clips": ((pixels / 255 - mean) / std).astype(np.float32)}}}})
{ANSWER}"""
"""Of a model that sees frames."""
RUN_FLOW = f"""\
import cv2, json, numpy as np, onnxruntime  # cv2: pip install opencv-python-headless

{OPEN}{NORMALISED}\
cv2.setNumThreads(1)  # of several, each looks at a part of the picture
search = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_{{preset}})

def flow(before, after):  # brightness, uint8 (height, width) -> x and y, uint8 (2, height, width)
    pixels = search.calc(before, after, None)
    levels = np.rint(128 + pixels * (127.5 / told["flow"]["bound"]))
    return levels.clip(0, 255).astype(np.uint8).transpose(2, 0, 1)

grey = np.zeros(({{places}}, {{consecutive}} + 1, {{crop}}, {{crop}}), np.uint8)  # places, frames, height, width
flows = [flow(*pair) for place in grey for pair in zip(place, place[1:])]
clip = (np.stack(flows, axis=1) / 255 - mean) / std  # x and y, flows, height, width
(logits,) = session.run(None, {{{{"clips": clip[None].astype(np.float32)}}}})
{ANSWER}"""
"""Of one that takes flow."""
RUN_SOUND = f"""\
import json, numpy as np, onnxruntime

{OPEN}\
sounds = np.zeros((1, told["samples"]), np.int16)  # windows, samples: mono, as a WAV file of 16 bits has them
(logits,) = session.run(None, {{{{"sounds": sounds}}}})
{ANSWER}"""
"""Of one that hears."""
PROBABILITIES = {
    True: "probabilities = 1 / (1 + np.exp(-logits))",
    False: "probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)",
}
RUN_FUSION = """\
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
"""
"""Of an ensemble."""
CLIPS = """\
    crop = own["grid"]["views"][views[0]]["scale"]["crop"]
    length = own["sampler"]["frames"] * own["sampler"]["consecutive"]
    shape = len(views), len(own["input"]["mean"]), length, crop, crop
    clips = {"clips": np.zeros(shape, np.float32)}  # normalised; a call a size"""
SOUNDS = """\
    clips = {"sounds": np.zeros((len(views), own["samples"]), np.int16)}"""
SEES = """\
logits["sees"] = np.ones((1, len(told["members"])), bool)  # videos, members: False of those that it has nothing for
"""


def of_model(told: ModelDescription, file: str) -> str:
    """The code that runs a model's ONNX file."""
    common = {"file": file, "probabilities": PROBABILITIES[told.task == MULTI_LABEL]}
    if not isinstance(told, Description):
        return _block(RUN_SOUND.format(**common, views="windows"))
    sampler, crop = told.sampler, told.crops[0]
    if not isinstance(told, FlowDescription):
        return _block(RUN_FRAMES.format(**common, views="clips", frames=sampler.length, crop=crop))
    places = {"places": sampler.frames, "consecutive": sampler.consecutive, "crop": crop}
    return _block(RUN_FLOW.format(**common, views="clips", preset=told.flow.preset.upper(), **places))


def of_ensemble(told: FusionDescription, file: str) -> str:
    """The code that runs an ensemble; `own` says what a member takes."""
    takes = {member.takes for member in told.members}
    clips = SOUNDS if takes == {"sound"} else CLIPS
    if "sound" in takes and len(takes) > 1:
        seeing, hearing = (textwrap.indent(part, "    ") for part in (CLIPS, SOUNDS))
        clips = f'    if member["takes"] == "sound":\n{hearing}\n    else:\n{seeing}'
    return _block(RUN_FUSION.format(file=file, clips=clips, sees="" if takes == {"frames"} else SEES))


def _block(code: str) -> str:
    return f"```python\n{code}```"
