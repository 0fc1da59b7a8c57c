"""Who answers a video in which no member with weight has anything to look at: all that see it, as in `ensemble`."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from pipeline.cli import new_flows, new_videos
from pipeline.cli.fused_members import Fusion
from pipeline.cli.new_frames import NewVideos
from pipeline.ensemble import unseen
from tests.support import tiny, tiny_flow

TAKES = {"eye": "frames", "way": "flow", "ear": "sound"}
SOUND = np.zeros(16_000, np.int16)
FRAMES = {"moves": 3, "still": 1}
"""Number of frames of each video."""


@pytest.fixture
def ask(monkeypatch, tmp_path):
    """Who answers a video, by the scorer of an ensemble in which one member alone has weight."""
    monkeypatch.setattr(new_videos.params, "load", lambda *_: tiny_flow.CONFIG)
    jpegs = {v: [*map(memoryview, tiny_flow.jpegs(tiny_flow.moving(1, 0, n)))] for v, n in FRAMES.items()}

    def predictor(self: new_videos.Scorer, folder: Path, *rest: object) -> SimpleNamespace:
        kept = SimpleNamespace(classes=("a",))
        clip = SimpleNamespace(input=TAKES[folder.name])
        return SimpleNamespace(name=folder.name, clip=clip, task="multi_label", checkpoint=kept, check=lambda of: None)

    def answered(heavy: str, video: str, sound: np.ndarray | None) -> set[str]:
        idle = {name: 0.0 for name in TAKES if name != heavy}
        fusion = Fusion({heavy: 1.0}, "probability", "multiscale", {}, idle)
        monkeypatch.setattr(new_videos.Fusion, "read", lambda folder: fusion)
        monkeypatch.setattr(new_videos.Scorer, "_predictor", predictor)
        one = new_videos.Scorer("ensemble", tmp_path, tiny.machine(tmp_path / "work"))
        monkeypatch.setattr(one, "_logits", lambda members, *rest: [member.predictor.name for member in members])
        monkeypatch.setattr(one, "fuse", set)
        monkeypatch.setattr(one, "_fuse_of", lambda members, logits: set(logits))
        return one.score(NewVideos(jpegs=jpegs), video, sound)

    return answered


@pytest.mark.parametrize("heavy", TAKES)
@pytest.mark.parametrize("video", FRAMES)
@pytest.mark.parametrize("sound", [SOUND, None], ids=["heard", "silent"])
def test_those_answer_whose_shares_the_ensemble_has(ask, heavy, video, sound):
    sees = np.array([True, FRAMES[video] > 1, sound is not None])
    shares = unseen.renormalised(np.array([float(name == heavy) for name in TAKES]), sees)
    assert ask(heavy, video, sound) == {name for name, share in zip(TAKES, shares, strict=True) if share > 0}


def test_flow_that_nobody_asks_for_is_not_computed(ask, monkeypatch):
    monkeypatch.setattr(new_flows, "of", lambda *arguments: pytest.fail("it is computed"))
    assert ask("ear", "moves", SOUND) == {"ear"}
