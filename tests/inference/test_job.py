"""The scoring of one model: what becomes of errors and of scores that are no numbers."""

import pytest
import torch
from torch import nn

from pipeline.core.errors import UserError
from pipeline.inference import predictor
from pipeline.inference.predictor import Predictor
from tests.support.inference import BOTH, assert_same_files, infer, kill_after, scored_models


def test_a_companion_that_fails_while_it_scores_does_not_stop_the_stage(models, whole, tmp_path, monkeypatch, caplog):
    original, seen = Predictor.score, []

    def score(self, *arguments):
        seen.append(self.name)
        if seen.count("other") == 20 and self.name == "other":
            raise RuntimeError("no such kernel")
        return original(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Predictor, "score", score)
        assert_same_files(whole, infer(models, tmp_path / "out", "net", BOTH))
    assert (seen.count("net"), seen.count("other")) == (38, 20)
    assert "without other, which fails: no such kernel" in caplog.text

    alone = infer(models, tmp_path / "alone" / "out", "other")
    seen = scored_models(monkeypatch)
    assert_same_files(alone, infer(models, tmp_path / "out", "other"))
    assert len(seen) == 38 - 16, "its finished chunk is kept, and no other"


def test_the_own_model_that_fails_ends_the_stage(models, tmp_path, monkeypatch):
    kill_after(monkeypatch, 2, RuntimeError("no such kernel"))
    with pytest.raises(RuntimeError, match="no such kernel"):
        infer(models, tmp_path / "out")


def test_scores_that_are_not_finite_are_refused(models, tmp_path, monkeypatch):
    class Broken(nn.Module):
        def forward(self, clip):
            return torch.full((len(clip), 3), float("nan"))

    monkeypatch.setattr(predictor, "_rebuild", lambda *_: Broken())
    with pytest.raises(UserError, match="Model net gives scores that are not finite"):
        infer(models, tmp_path / "out")
    assert not (tmp_path / "out/net").exists()
    assert not any((tmp_path / "work/infer").iterdir())
