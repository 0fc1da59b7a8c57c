"""Folders of the library transformers (huggingface/transformers): VideoMAE, VideoPrism, V-JEPA 2, AST, as published."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.core.errors import UserError
from pipeline.layers.log_mel import MelSpec
from pipeline.layers.normalize import InputSpec, read_spec
from pipeline.pretrained.importers import Rules, Translation, rename
from pipeline.pretrained.published_folder import KEY
from pipeline.pretrained.weight_file import Weights

_WHOSE = {"q": "query", "v": "value"}


@dataclass(frozen=True)
class Layout:
    """How one class of networks is called there and here."""

    rules: Rules
    options: Mapping[str, tuple[str, Any]]
    """Setting of config.json -> our option, and what the library takes where the file does not say."""
    fixed: Mapping[str, Any]
    """Settings that no model here can change -> the value that it has, which is also the library's own."""
    licence: str
    """What the authors' own weights are under."""
    of_head: tuple[str, ...] = ()
    """Those of our options that belong to what stands behind the encoder."""
    unused: str = ""
    """Pattern of the names of parts that no model here has: they served the pretraining alone."""
    unused_without_head: str = ""
    """The same, of parts that serve where a classifier stands behind them."""
    fresh: tuple[str, ...] = ()
    """Beginnings of our names that a file without a classifier does not have."""
    encoder: str = ""
    """Beginning of our names of its encoder, where models with another head take that alone."""
    classifier: str = "classifier.weight"
    """Name of the tensor that has one row a class."""


LAYOUTS = {
    "audio-spectrogram-transformer": Layout(
        rules=[
            (r"^audio_spectrogram_transformer\.", ""),
            (r"^encoder\.layer\.", "layers."),
            (r"\.attention\.attention\.(query|key|value)\.", lambda found: f".attention.{found[1][0]}_proj."),
            (r"\.attention\.output\.dense\.", ".attention.o_proj."),
            (r"\.intermediate\.dense\.", ".mlp.fc1."),
            (r"^(layers\.\d+)\.output\.dense\.", r"\1.mlp.fc2."),
            (r"^classifier\.layernorm\.", "backbone.norm."),
            (r"^classifier\.dense\.", "classifier."),
            (r"^(?!backbone\.|classifier\.)", "backbone.network."),
        ],
        options={
            "num_mel_bins": ("mels", 128),
            "max_length": ("columns", 1024),
            "frequency_stride": ("frequency_stride", 10),
            "time_stride": ("time_stride", 10),
            "num_attention_heads": ("heads", 12),
        },
        fixed={"hidden_act": "gelu", "layer_norm_eps": 1e-12, "qkv_bias": True},
        licence="bsd-3-clause",
        fresh=("backbone.norm.",),
        classifier="classifier.dense.weight",
    ),
    "videomae": Layout(
        rules=[
            (r"^videomae\.", ""),
            (r"\.attention\.attention\.(q|v)_bias$", lambda found: f".attention.attention.{_WHOSE[found[1]]}.bias"),
            (r"^fc_norm\.", "backbone.norm."),
            (r"^(?!backbone\.|classifier\.)", "backbone.network."),
        ],
        options={
            "num_frames": ("frames", 16),
            "image_size": ("size", 224),
            "num_attention_heads": ("heads", 12),
            "use_mean_pooling": ("mean_pooling", True),
        },
        fixed={"tubelet_size": 2, "hidden_act": "gelu", "layer_norm_eps": 1e-12, "qv_bias": True, "num_channels": 3},
        licence="cc-by-nc-4.0",
        of_head=("mean_pooling",),
        unused=r"(decoder|encoder_to_decoder)\.|mask_token$",
        unused_without_head=r"(videomae\.)?layernorm\.",
        fresh=("backbone.norm.", "backbone.network.layernorm."),
    ),
    "videoprism_vision_model": Layout(
        rules=[
            (r"^vision_model\.", ""),
            (r"^head\.", "backbone.head.pool."),
            (r"^head_layernorm\.", "backbone.head.norm."),
            (r"^(?!backbone\.|classifier\.)", "backbone.encoder."),
        ],
        options={
            "num_frames": ("frames", 16),
            "image_size": ("size", 288),
            "num_attention_heads": ("heads", 12),
        },
        fixed={
            "hidden_act": "gelu_python",
            "layer_norm_eps": 1e-6,
            "attn_logit_softcapping": 50.0,
            "qkv_bias": True,
            "num_channels": 3,
        },
        licence="apache-2.0",
        fresh=("backbone.head.",),
        encoder="backbone.encoder.",
    ),
    "vjepa2": Layout(
        rules=[
            (r"^vjepa2\.", ""),
            (r"^pooler\.", "backbone.head."),
            (r"^(?!backbone\.|classifier\.)", "backbone."),
        ],
        options={"crop_size": ("size", 256), "num_attention_heads": ("heads", 16)},
        fixed={"tubelet_size": 2, "hidden_act": "gelu", "layer_norm_eps": 1e-6, "qkv_bias": True, "in_chans": 3},
        licence="mit",
        unused=r"(vjepa2\.)?predictor\.",
        fresh=("backbone.head.",),
        encoder="backbone.encoder.",
    ),
}
"""Kind of network (`model_type`) -> its layout."""


def recognises(weights: Weights) -> bool:
    """Whether they are of such a folder."""
    return KEY in weights.metadata


def translate(weights: Weights) -> Translation:
    """Translate a network with its classifier, or the encoder alone, behind which all starts fresh.

    Raises:
        UserError: no model here is such a network, or the folder contradicts itself.
    """
    about: dict[str, Any] = weights.metadata[KEY]
    config = about["config"]
    layout = LAYOUTS.get(kind := str(config.get("model_type")))
    if layout is None:
        raise UserError(f"its config.json is of {kind!r}; models here take {', '.join(LAYOUTS)}.")
    for name, value in layout.fixed.items():
        if config.get(name, value) != value:
            raise UserError(f"its config.json has {name} {config[name]!r}, and the network here has {value!r}.")
    needs = {ours: _square(config.get(theirs, usual), theirs) for theirs, (ours, usual) in layout.options.items()}
    spec = read_spec(about["input"])
    _compare(spec, about, needs)
    whole = layout.classifier in weights.tensors
    patterns = [layout.unused] if whole else [layout.unused, layout.unused_without_head]
    unused = tuple(name for name in weights.tensors if any(re.match(pattern, name) for pattern in patterns if pattern))
    kept = {name: tensor for name, tensor in weights.tensors.items() if name not in unused}
    return Translation(
        rename(kept, layout.rules),
        spec,
        needs={option: value for option, value in needs.items() if whole or option not in layout.of_head},
        classes=_classes(config, len(weights.tensors[layout.classifier])) if whole else (),
        fresh=() if whole else ("classifier.", *layout.fresh),
        unused=unused,
        encoder=layout.encoder,
        licence=about["licence"] or f"{layout.licence} (the authors'; the folder states none)",
    )


def _compare(spec: InputSpec | MelSpec, about: Mapping[str, Any], needs: Mapping[str, Any]) -> None:
    """Refuse preprocessing that makes other images than config.json has, or pixels for a network that hears."""
    if isinstance(spec, MelSpec) != ("mels" in needs):
        does, takes = ("makes images of sound", "pixels") if isinstance(spec, MelSpec) else ("makes pixels", "sound")
        raise UserError(
            f"the folder contradicts itself: {about['from']} {does}, and config.json's network takes {takes}."
        )
    if isinstance(spec, MelSpec):
        stated = {"mels": ("bands", spec.mels), "columns": ("columns", spec.columns)}
    else:
        stated = {"size": ("pixels", about["side"])}
    for option, (unit, size) in stated.items():
        if size not in (None, needs[option]):
            what = f"crops of {size} {unit}" if option == "size" else f"{size} {unit}"
            raise UserError(
                f"the folder contradicts itself: {about['from']} says {what}, and config.json {needs[option]}. Mend "
                "the one with which the weights were not trained."
            )


def _square(value: Any, name: str) -> Any:
    """The value, or the one side of a square."""
    if not isinstance(value, list):
        return value
    if len(set(value)) != 1:
        raise UserError(f"its config.json has {name} {value}, which is no square, as all models here take.")
    return value[0]


def _classes(config: Mapping[str, Any], rows: int) -> tuple[str, ...]:
    """Names of the classes, in the order of the rows; none where the file only numbers them."""
    named = config.get("id2label") or {}
    names = tuple(str(named.get(str(row), f"LABEL_{row}")) for row in range(rows))
    return () if any(re.fullmatch(r"LABEL_\d+", name) for name in names) else names
