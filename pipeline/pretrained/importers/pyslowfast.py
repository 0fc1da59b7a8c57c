"""PySlowFast (facebookresearch/SlowFast), `.pyth`: SlowFast, and single paths with or without non-local blocks."""

import re
from dataclasses import replace
from typing import Any

import yaml

from pipeline.core import params
from pipeline.pretrained.importers import Rules, Translation, rename, single_or_two_paths
from pipeline.pretrained.weight_file import SETTINGS, Weights

RULES: Rules = [
    (r"^s(\d)_fuse\.", lambda found: f"laterals.{int(found[1]) - 1}."),
    (r"^(laterals\.\d)\.conv_f2s\.", r"\1.conv."),
    (r"^s1\.pathway(\d)_stem\.(conv|bn)\.", r"path\1.\g<2>1."),
    (r"^s(\d)\.pathway(\d)_res(\d+)\.", lambda found: f"path{found[2]}.layer{int(found[1]) - 1}.{found[3]}."),
    (
        r"^s(\d)\.pathway(\d)_nonlocal(\d+)\.(conv_)?",
        lambda found: f"path{found[2]}.layer{int(found[1]) - 1}.{found[3]}.non_local.",
    ),
    (r"\.branch1\.", ".downsample.0."),
    (r"\.branch1_bn\.", ".downsample.1."),
    (r"\.branch2\.([abc])\.", lambda found: f".conv{'abc'.index(found[1]) + 1}."),
    (r"\.branch2\.([abc])_bn\.", lambda found: f".bn{'abc'.index(found[1]) + 1}."),
    (r"^head\.projection\.", "classifier."),
]


def recognises(weights: Weights) -> bool:
    """Whether stages are called s1 to s5, and what is in them pathway0 and pathway1."""
    return any(re.match(r"s1\.pathway0_stem\.", name) for name in weights.tensors)


def translate(weights: Weights) -> Translation:
    """Translate SlowFast or a single path."""
    found = single_or_two_paths(rename(weights.tensors, RULES))
    return replace(found, needs={**found.needs, **_alpha(weights.metadata.get(SETTINGS))}) if found.needs else found


def _alpha(text: Any) -> dict[str, int]:
    """The option `alpha`, which no tensor shows, by the settings saved with the weights, where they have it."""
    try:
        alpha = yaml.safe_load(text or "")["SLOWFAST"]["ALPHA"]
    except (*params.NO_YAML, TypeError):
        return {}
    return {"alpha": alpha} if type(alpha) is int else {}
