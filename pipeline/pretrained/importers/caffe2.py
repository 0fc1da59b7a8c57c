"""Caffe2 files (`.pkl`) of PySlowFast's model zoo: the same networks as its `.pyth`, and older names."""

import re

from pipeline.pretrained.importers import Rules, Translation, rename, single_or_two_paths
from pipeline.pretrained.weight_file import Weights

LETTERS = {"w": "weight", "b": "bias", "s": "weight", "rm": "running_mean", "riv": "running_var"}
RULES: Rules = [
    (r"_(w|b|s|rm|riv)$", lambda found: f".{LETTERS[found[1]]}"),  # s: the scale of a norm
    (r"^t_pool1_subsample(_bn)?\.", lambda found: f"laterals.0.{'bn' if found[1] else 'conv'}."),
    (
        r"^t_res(\d)_\d+_branch2c_bn_subsample(_bn)?\.",
        lambda found: f"laterals.{int(found[1]) - 1}.{'bn' if found[2] else 'conv'}.",
    ),
    (r"^(?!t_|laterals\.|pred\.)", "path0."),
    (r"^t_", "path1."),
    (r"^(path\d)\.conv1\.", r"\1.conv1."),
    (r"^(path\d)\.res_conv1_bn\.", r"\1.bn1."),
    (r"^(path\d)\.res(\d)_(\d+)_", lambda found: f"{found[1]}.layer{int(found[2]) - 1}.{found[3]}."),
    (
        r"^(path\d)\.nonlocal_conv(\d)_(\d+)_",
        lambda found: f"{found[1]}.layer{int(found[2]) - 1}.{found[3]}.non_local.",
    ),
    (r"\.branch1\.", ".downsample.0."),
    (r"\.branch1_bn\.", ".downsample.1."),
    (r"\.branch2([abc])\.", lambda found: f".conv{'abc'.index(found[1]) + 1}."),
    (r"\.branch2([abc])_bn\.", lambda found: f".bn{'abc'.index(found[1]) + 1}."),
    (r"^pred\.", "classifier."),
]
TRAINING = re.compile(r"momentum|^lr$|^model_iter$")
"""Pattern of the entries that only training needs."""


def recognises(weights: Weights) -> bool:
    """Whether names have underscores and letters where others have dots and words."""
    return {"conv1_w", "pred_w"} <= weights.tensors.keys()


def translate(weights: Weights) -> Translation:
    """Translate SlowFast or a single path."""
    kept = {name: tensor for name, tensor in weights.tensors.items() if not TRAINING.search(name)}
    return single_or_two_paths(rename(kept, RULES))
