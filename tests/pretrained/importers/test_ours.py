"""Our own checkpoints: options that change what a network computes and none of its tensors are compared."""

import contextlib
import inspect
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from pipeline.core import registry
from pipeline.core.errors import UserError
from pipeline.models import audio_cnn, tsm
from pipeline.pretrained.importers import ours
from pipeline.pretrained.load import load_pretrained
from pipeline.runtime.checkpoint import Checkpoint
from tests.models.test_every_model import CASES, VARIANTS, logits, parametrized
from tests.support import checks
from tests.support.checks import Case

BOXES = Case("swin3d", checks.TINY_SWIN | {"window": (2, 2, 1)}, 4)
SMALL = checks.TINY_2D["backbone_options"]
DENSE = {**checks.TINY_2D, "backbone_options": {**SMALL, "output_stride": 8}}
WORDS = ["strided", "linspace", "block", "blockres", "linear", "attentive"]


def written(arch: str, model: torch.nn.Module, options: dict[str, Any], folder: Path) -> Path:
    recipe, names = {"arch": arch, "options": options}, tuple(map(str, range(checks.CLASSES)))
    Checkpoint(model.state_dict(), recipe, names, registry.find("models", arch).INPUT).write(folder)
    return folder / "model.safetensors"


def changed(value: Any) -> list[Any]:
    """Other values that an option may have."""
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [2 * value, value - 1]
    if isinstance(value, float):
        return [value / 2 + 0.1]
    return list(itertools.permutations(value)) if isinstance(value, (tuple, list)) else WORDS


def silent_changes(case: Case) -> Iterator[dict[str, Any]]:
    """Changes of options that leave the shapes of all tensors as they are."""
    defaults = inspect.signature(registry.find("models", case.model).build).parameters
    values = {name: case.options.get(name, at.default) for name, at in defaults.items() if name != "num_classes"}
    changes = [{name: new} for name, value in values.items() for new in changed(value)]
    whole = [name for name, value in values.items() if type(value) is int]
    changes += [{one: values[two], two: values[one]} for one, two in itertools.pairwise(whole)]
    with torch.device("meta"):
        shapes = {name: tensor.shape for name, tensor in case.build().state_dict().items()}
        for change in changes:
            with contextlib.suppress(ValueError, RuntimeError, TypeError, KeyError, AttributeError):
                made = case.build(**change).state_dict()
                if {name: tensor.shape for name, tensor in made.items()} == shapes:
                    yield change


@parametrized(CASES | {"encoder of a transformer": VARIANTS["encoder of a transformer"], "swin3d of boxes": BOXES})
def test_an_option_that_no_tensor_shows_is_compared_with_a_checkpoint(case: Case, tmp_path: Path):
    """With the same weights and another option a network answers otherwise, or refuses; so must the loading."""
    model, clip = checks.settled(case.build()), case.clips(1)
    expected = logits(model, clip)
    path = written(case.model, model, case.options, tmp_path)
    for change in list(silent_changes(case)):
        other = case.build(**change).eval()
        other.load_state_dict(model.state_dict())
        with contextlib.suppress(ValueError):  # it says itself that it takes other clips
            if not torch.allclose(logits(other, clip), expected, rtol=1e-4, atol=1e-5):
                with pytest.raises(UserError, match="|".join(f"Set {option}:" for option in change)):
                    load_pretrained(other, path)


@pytest.mark.parametrize(
    ("theirs", "mine", "said"),
    [
        ({"backbone": "tf_efficientnet_lite0"}, {"backbone": "efficientnet_lite0"}, "Set backbone: tf_efficientnet_l"),
        (checks.TINY_2D, DENSE, "Set backbone_options: "),
    ],
)
def test_a_backbone_of_the_same_tensors_that_computes_otherwise_is_refused(theirs, mine, said, tmp_path: Path):
    path = written("tsm", tsm.build(checks.CLASSES, **theirs), theirs, tmp_path)
    with pytest.raises(UserError, match=said):
        load_pretrained(tsm.build(checks.CLASSES, **mine), path)


def test_a_tag_of_weights_and_dropout_within_the_backbone_are_no_difference(tmp_path: Path):
    options = {"backbone": "test_resnet.r160_in1k", "backbone_options": {"drop_path_rate": 0.1}}
    path = written("audio_cnn", audio_cnn.build(checks.CLASSES, **options), options, tmp_path)
    load_pretrained(audio_cnn.build(checks.CLASSES, backbone="test_resnet"), path)


@pytest.mark.parametrize("arch", ours.SHAPELESS)
def test_what_a_recipe_does_not_state_is_the_default(arch: str):
    defaults = inspect.signature(registry.find("models", arch).build).parameters
    for option, value in ours.SHAPELESS[arch].items():
        default = defaults[option].default
        assert value == (list(default) if isinstance(default, tuple) else default)
