"""What a resume state keeps of an optimiser: all of it, or training does not begin."""

import dataclasses
from pathlib import Path

import pytest
import torch

from pipeline.core.errors import UserError
from pipeline.training.resume import ResumeFolder, TrainState

RECIPE = {"arch": "tsn", "train": {"loss": {"name": "bce"}}}


class Remembers(torch.optim.Optimizer):
    """An optimiser whose state is whatever a test puts there."""

    def __init__(self, **kept: object) -> None:
        self.weight = torch.nn.Parameter(torch.zeros(2))
        super().__init__([self.weight], {"lr": 1.0})
        self.state[self.weight] = dict(kept)


def folder(tmp_path: Path) -> ResumeFolder:
    return ResumeFolder(tmp_path, "net", RECIPE, every=60)


def test_everything_comes_back_as_it_was(tmp_path):
    kept = {"moment": torch.tensor([1.0, 2.0]), "dims": ((1, 2), [None, True]), "kind": torch.float32, "step": 3}
    state = TrainState(step=5, lr=0.1, steps={"loss": [1.0]}, history=[{"loss": 2.0, "val_mAP": 50.0, "lr": 0.1}])
    folder(tmp_path).save(state, {"a": torch.arange(3)}, Remembers(**kept))

    weights, optimizer = {"a": torch.zeros(3, dtype=torch.int64)}, Remembers()
    back = folder(tmp_path).restore(weights, optimizer)
    assert dataclasses.asdict(back) == dataclasses.asdict(state)
    assert weights["a"].tolist() == [0, 1, 2]
    found = optimizer.state[optimizer.weight]
    assert torch.equal(found.pop("moment"), kept.pop("moment"))
    assert found == kept


def test_a_state_that_could_not_be_read_back_stops_at_its_first_save(tmp_path):
    with pytest.raises(UserError, match=r"state.pt cannot be read .* take another train.optim.name"):
        folder(tmp_path).save(TrainState(step=1), {}, Remembers(kept=Path("/tmp")))  # noqa: S108 - any object


def test_what_is_in_a_state_is_never_run(tmp_path):
    resume = folder(tmp_path)
    resume.save(TrainState(), {}, Remembers())

    class Runs:
        def __reduce__(self):
            return (Path(tmp_path / "ran").touch, ())

    torch.save({"state": Runs()}, resume.folder / "state.pt")
    with pytest.raises(UserError, match=r"state.pt cannot be read"):
        resume.restore({}, Remembers())
    assert not (tmp_path / "ran").exists()


def test_a_state_that_cannot_be_pickled_names_another_optimiser(tmp_path):
    with pytest.raises(UserError, match=r"cannot be saved .* Take another train.optim.name"):
        folder(tmp_path).save(TrainState(), {}, Remembers(kept=lambda: None))


def test_a_refusal_says_what_was_refused_and_holds_no_control_character(tmp_path):
    resume = folder(tmp_path)
    resume.save(TrainState(), {}, Remembers())
    torch.save({"state": Path("x")}, resume.folder / "state.pt")
    with pytest.raises(UserError, match="Unsupported global") as caught:
        resume.restore({}, Remembers())
    assert str(caught.value).isprintable()
