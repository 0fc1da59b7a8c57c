import json

import pytest
import torch
from safetensors.torch import save_file

from pipeline.core.errors import UserError
from pipeline.core.files import RECIPE
from pipeline.layers.normalize import InputSpec
from pipeline.runtime.checkpoint import FILE, Checkpoint


def checkpoint() -> Checkpoint:
    weights = {"fc.weight": torch.arange(6.0).view(2, 3), "bn.num_batches_tracked": torch.tensor(7)}
    recipe = {"arch": "tsn", "options": {"frames": 8}, "clip": {"side": 48}}
    return Checkpoint(weights, recipe, ("kochen", "größer"), InputSpec((0.5, 0.5, 0.5), (0.25, 0.25, 0.25)))


def test_what_is_written_is_read(tmp_path):
    checkpoint().write(tmp_path)
    read = Checkpoint.read(tmp_path)
    assert read.recipe == checkpoint().recipe
    assert read.classes == ("kochen", "größer")
    assert read.input == checkpoint().input
    for name, tensor in checkpoint().weights.items():
        torch.testing.assert_close(read.weights[name], tensor)


def test_the_recipe_is_a_file_to_read(tmp_path):
    checkpoint().write(tmp_path)
    assert json.loads((tmp_path / RECIPE).read_text())["arch"] == "tsn"


def test_the_same_model_gives_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        checkpoint().write(tmp_path / name)
    assert (tmp_path / "a" / FILE).read_bytes() == (tmp_path / "b" / FILE).read_bytes()


def test_a_missing_checkpoint_names_the_command(tmp_path):
    with pytest.raises(UserError, match=r"does not exist. `dvc repro train@tin_demo`"):
        Checkpoint.read(tmp_path / "tin_demo")


@pytest.mark.parametrize("keep", [0, 4, 100])
def test_a_truncated_file_is_refused(tmp_path, keep):
    checkpoint().write(tmp_path)
    data = (tmp_path / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(data[:keep])
    with pytest.raises(UserError, match="model.safetensors is damaged: its bytes are not those that were written"):
        Checkpoint.read(tmp_path)


def test_a_file_of_another_program_is_refused(tmp_path):
    save_file({"fc.weight": torch.zeros(1)}, tmp_path / FILE)
    with pytest.raises(UserError, match="not of this pipeline"):
        Checkpoint.read(tmp_path)
