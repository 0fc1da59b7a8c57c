"""Which files are meant by what was named; tests/cli/test_predict.py has the scores."""

import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from pipeline.cli import new_videos
from pipeline.cli.fused_members import Fusion
from pipeline.clips import dataset
from pipeline.core.errors import UserError
from pipeline.core.task import SINGLE_LABEL


def test_folders_and_patterns_give_the_videos_in_them(tmp_path, monkeypatch, caplog):
    for name in ("b.MP4", "a.webm", "deep/c.mkv", "notes.txt", "deep/.trash/d.mkv"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).touch()
    monkeypatch.chdir(tmp_path)
    names = [Path("in") / name for name in ("a.webm", "b.MP4", "deep/c.mkv")]
    assert new_videos.found(["in"]) == names
    assert caplog.messages == ["in: left out, as by their endings they are no videos: 1 .txt"]
    assert new_videos.found(["in/**/*.mkv", "in"]) == [names[2], *names[:2]], "each once, in the order of naming"
    assert new_videos.found(["in/notes.txt"]) == [Path("in/notes.txt")], "a file that is named itself is tried"
    for nothing in ("in/*.avi", "empty"):
        (tmp_path / "empty").mkdir(exist_ok=True)
        with pytest.raises(UserError, match="no video there"):
            new_videos.found([nothing])


def test_a_path_that_is_not_there_is_a_slip_of_the_pen_and_no_broken_video(tmp_path):
    (tmp_path / "clip.mp4").touch()
    with pytest.raises(UserError, match=r"clpi\.mp4: there is no such file or folder\. Did you mean 'clip\.mp4'\?"):
        new_videos.found([str(tmp_path / "clip.mp4"), str(tmp_path / "clpi.mp4")])
    with pytest.raises(UserError, match=r"nowhere/at/all: there is no such file or folder\."):
        new_videos.found(["nowhere/at/all"])


@pytest.mark.parametrize("mean", ["probability", "logit"])
def test_where_a_video_has_one_label_the_answers_of_the_members_sum_to_one(mean, monkeypatch):
    logits = {"sure": np.array([4.0, 0.0, -1.0]), "torn": np.array([0.0, 1.0, 0.5])}
    view = {"views": [{}], "protocols": {"clip": [0]}}

    def predictor(own: np.ndarray) -> SimpleNamespace:
        grid = SimpleNamespace(describe=lambda: view)
        return SimpleNamespace(
            view_spec=None, task=SINGLE_LABEL, grid=grid, clip=SimpleNamespace(input="frames"),
            score=lambda *_: SimpleNamespace(read=lambda: own[None, None]),
        )  # fmt: skip

    scorer = new_videos.Scorer.__new__(new_videos.Scorer)
    scorer.task, scorer.device, scorer.turn = SINGLE_LABEL, "cpu", threading.Lock()
    scorer.fusion = Fusion({"sure": 0.75, "torn": 0.25}, mean, "clip", {})
    scorer.members = [new_videos.Member(predictor(own), scorer.fusion.weights[name]) for name, own in logits.items()]
    decoded = SimpleNamespace(frames=None, crops=[None, None])
    monkeypatch.setattr(dataset, "decode_video", lambda *_: SimpleNamespace(to=lambda _: decoded))
    found = scorer.score(None, "clip.mp4")

    powers = {name: np.exp(own) / np.exp(own).sum() for name, own in logits.items()}
    wanted = 0.75 * powers["sure"] + 0.25 * powers["torn"]
    if mean == "logit":  # a geometric mean, made to sum to one
        wanted = powers["sure"] ** 0.75 * powers["torn"] ** 0.25
        wanted = wanted / wanted.sum()
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
    assert found.sum() == pytest.approx(1)
