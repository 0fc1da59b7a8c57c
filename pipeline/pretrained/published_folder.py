"""The folder of a network as the library transformers publishes it: config.json, preprocessing, *.safetensors.

It lies on this machine, whoever fetched it. Nothing in it is run: it is JSON, and tables of numbers. Files of
preprocessing that contradict one another, or the network, are refused: whoever reads one of them alone feeds the
network pixels that it was not trained on.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml
from torch import Tensor

from pipeline.core import checksums, files, params
from pipeline.core.errors import UserError
from pipeline.layers.log_mel import MelSpec
from pipeline.layers.normalize import InputSpec
from pipeline.pretrained import weight_file
from pipeline.pretrained.weight_file import CONFIG, Weights

KEY = "transformers"
"""Entry of the metadata of `read`: what the folder says of its network besides the tensors."""
PREPROCESSING = ("preprocessor_config.json", "video_preprocessor_config.json", "processor_config.json")
WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
CARD = "README.md"
BYTE = 1 / 255
HEARS = "ASTFeatureExtractor"
"""The library's preprocessing of sound for the Audio Spectrogram Transformer."""


def read(folder: Path) -> Weights:
    """Read a network's tensors; `metadata[KEY]` has its config, its input, the side of its crops, and its licence.

    Raises:
        UserError: a file is missing or damaged, or files contradict one another.
    """
    config = _json(folder / CONFIG)
    there = [name for name in PREPROCESSING if (folder / name).is_file()]
    told = {name: found for name in there if (found := _preprocessing(folder / name)) is not None}
    if not told:
        raise UserError(
            f"{folder} has no {' or '.join(PREPROCESSING[:2])}, so nothing says what pixels its weights expect, or "
            "what sound. Fetch that file, too."
        )
    (first, (spec, side)), *others = told.items()
    for name, (other, other_side) in others:
        if (spec, side) != (other, other_side):
            raise UserError(
                f"{folder} contradicts itself: {first} says {_in_words(spec, side)}, and {name} says "
                f"{_in_words(other, other_side)}. Delete the one with which the weights were not trained."
            )
    names = _weights(folder)
    tensors: dict[str, Tensor] = {}
    for name in names:
        checksums.check(folder / name)
        tensors |= weight_file.open_safetensors(folder / name)[0]
    about = {"config": config, "input": asdict(spec), "side": side, "from": first, "licence": licence(folder)}
    return Weights(tensors, ", ".join(names), (), _fingerprint(folder, [CONFIG, *told, *names]), {KEY: about})


def licence(folder: Path) -> str:
    """The licence that the model card of a folder states; "" where there is no card, or it states none."""
    card = folder / CARD
    text = card.read_text(encoding="utf-8", errors="replace") if card.is_file() else ""
    if not (head := re.match(r"---\n(.*?)\n---", text, re.DOTALL)):
        return ""
    try:
        told = yaml.safe_load(head[1])
        stated = told if isinstance(told, dict) else {}
        return " ".join(str(stated[key]) for key in ("license", "license_name", "license_link") if stated.get(key))
    except params.NO_YAML:
        return ""


def _weights(folder: Path) -> list[str]:
    """Names of the files that hold the tensors: one, or those that an index lists."""
    if (folder / INDEX).is_file():
        listed = _json(folder / INDEX).get("weight_map")
        names = sorted(set(listed.values())) if isinstance(listed, dict) else []
        if not names or any(Path(name).name != name for name in map(str, names)):
            raise UserError(f"{folder / INDEX} lists no files of weights in its folder. Fetch it again.")
    else:
        names = [WEIGHTS]
    if missing := [name for name in names if not (folder / name).is_file()]:
        raise UserError(
            f"{folder} has no {', '.join(missing)}. Fetch it, too; where there is another file of weights alone, "
            f"`pipeline checkpoint FILE --save {folder / WEIGHTS}` makes it."
        )
    return names


def _preprocessing(path: Path) -> tuple[InputSpec | MelSpec, int | None] | None:
    """The input that a file of preprocessing states, and the side of the crops; None where it is of something else."""
    told = _json(path)
    if path.name == PREPROCESSING[-1]:
        parts = (told.get(part) for part in ("video_processor", "image_processor", "feature_extractor"))
        told = next(filter(None, parts), {})
        if not told:
            return None
    if told.get("feature_extractor_type") == HEARS:
        return _sound(told, path), None
    if not told.get("do_rescale", True) or not BYTE - 1e-9 <= told.get("rescale_factor", BYTE) <= BYTE + 1e-9:
        raise UserError(f"{path}: the network wants pixels that are not in 0..1, which no model here gives.")
    spec = InputSpec((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    if told.get("do_normalize", True):
        try:
            spec = InputSpec(_three(told["image_mean"]), _three(told["image_std"]))
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise UserError(
                f"{path} states no image_mean and image_std of three numbers ({error!r}), and what the library then "
                f"takes need not be what the weights were trained with. Look that up, and write it there."
            ) from error
    return spec, _side(told, path)


def _sound(told: Mapping[str, Any], path: Path) -> MelSpec:
    """The image of sound that the preprocessing of AST makes, whose classes take samples of -1 .. 1."""
    try:
        rate, mels, columns = (told[key] for key in ("sampling_rate", "num_mel_bins", "max_length"))
        mean, std = (float(told["mean"]), float(told["std"])) if told.get("do_normalize", True) else (0.0, 0.5)
        spec = MelSpec.kaldi(int(mels), int(columns), mean, 2 * std)  # the library divides by twice of what is stated
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise UserError(
            f"{path} does not state sampling_rate, num_mel_bins, max_length, mean and std ({error!r}), and what the "
            f"library then takes need not be what the weights were trained with. Look that up, and write it there."
        ) from error
    if rate != spec.rate:
        raise UserError(f"{path}: its weights hear {rate} samples a second, and models here {spec.rate}.")
    return spec


def _side(told: Mapping[str, Any], path: Path) -> int | None:
    """The side of the square that is cropped, or scaled to, in pixels; None where the file does not say."""
    crop = told.get("crop_size") if told.get("do_center_crop", "crop_size" in told) else told.get("size")
    sides = [crop.get("height"), crop.get("width")] if isinstance(crop, dict) else [crop, crop]
    if sides[0] != sides[1]:
        raise UserError(f"{path}: crops of {sides[0]} x {sides[1]} pixels are no squares, which all models here take.")
    return sides[0]


def _three(values: Any) -> tuple[float, float, float]:
    red, green, blue = map(float, values)
    return red, green, blue


def _in_words(spec: InputSpec | MelSpec, side: int | None) -> str:
    if isinstance(spec, MelSpec):
        return f"mean {spec.mean}, std {spec.std}, {spec.mels} bands and {spec.columns} columns"
    return f"mean {spec.mean}, std {spec.std} and crops of {side or 'no stated number of'} pixels"


def _fingerprint(folder: Path, names: list[str]) -> str:
    """SHA-256 of the list that `sha256sum` makes of these files."""
    lines = (f"{files.file_hash(folder / name)}  {name}\n" for name in sorted(names))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _json(path: Path) -> dict[str, Any]:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path} is missing or damaged ({error}). Fetch it again.") from error
    if not isinstance(told, dict):
        raise UserError(f"{path} holds no settings by name. Fetch it again.")
    return told
