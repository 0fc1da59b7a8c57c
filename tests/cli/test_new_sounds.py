"""New videos are answered by what is heard in them, and a member that hears is left out where nothing is."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from pipeline.cli import new_videos, timeline
from pipeline.cli.fused_members import Fusion
from pipeline.core import params
from pipeline.core.broken_videos import BrokenVideo
from pipeline.core.files import write_json
from pipeline.core.segments import Segment
from pipeline.extraction.config import ExtractConfig
from pipeline.inference import run as inference_run
from pipeline.predictions.table import PredictionTable
from pipeline.runtime.checkpoint import Checkpoint
from pipeline.sound.decode import decode
from pipeline.training import trainer
from tests.support import tiny, tiny_sound
from tests.support.corpus import ffmpeg
from tests.support.inference import VIEWS

pytestmark = pytest.mark.slow  # models are trained

CONFIG = ExtractConfig(fps=30, short_side=40, jpeg_qscale=5, timeout_seconds=60, shards=1)
PICTURE = ["-f", "lavfi", "-i", "color=red:s=40x32:r=30:d=0.5"]
TONE = ["-f", "lavfi", "-i", "sine=f=800:r=16000:d=0.5"]


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that hears, `ear`, and one that sees, `eye`, and videos with and without sound."""
    folder = tmp_path_factory.mktemp("heard")
    data = tiny_sound.corpus(folder / "sound")
    on = tiny.machine(folder / "work")
    trainer.fit(tiny_sound.model(epochs=2), *data, folder / "models/ear", on)
    inference_run.run_inference("ear", {"ear": tiny_sound.VIEWS}, *data, folder / "models/ear", folder / "ear", on)
    trainer.fit(tiny.model(epochs=1), *tiny.corpus(folder / "lmdb"), folder / "models/eye", on)
    seen = Checkpoint.read(folder / "models/eye")
    replace(seen, classes=tuple(tiny_sound.PITCHES)).write(folder / "models/eye")
    ffmpeg([*PICTURE, *TONE, "-c:a", "flac", str(folder / "both.mkv")])
    ffmpeg([*PICTURE, str(folder / "mute.mkv")])
    tests = {"ear": {"test": params.plain(tiny_sound.VIEWS)}, "eye": {"test": params.plain(VIEWS)}}
    (folder / "params.yaml").write_text(yaml.safe_dump({"models": tests}))
    return folder


def scorer(here: Path, name: str) -> new_videos.Scorer:
    return new_videos.Scorer(name, here, tiny.machine(here / "work"))


def both(here: Path, *weights: float) -> new_videos.Scorer:
    """The two as members of an ensemble."""
    fused = scorer(here, "eye")
    fused.fusion = Fusion(dict(zip(("eye", "ear"), weights, strict=True)), "probability", "multiscale", {})
    predictors = fused.members[0].predictor, scorer(here, "ear").members[0].predictor
    fused.members = [new_videos.Member(*pair) for pair in zip(predictors, weights, strict=True)]
    return fused


def answer(here: Path, one: new_videos.Scorer, *names: str) -> list[np.ndarray | BrokenVideo]:
    files = [here / name for name in names]
    return [found for _, found in new_videos.answers(files, one, CONFIG, tiny.machine(here / "work"))]


def test_a_sound_of_the_corpus_gets_the_scores_of_the_prediction_files(here, monkeypatch):
    monkeypatch.chdir(here)
    store = tiny_sound.corpus(here / "sound")[1]
    table = PredictionTable.read(here / "ear/val.parquet")
    found = scorer(here, "ear").score(None, "val1", store.read("val1"))
    np.testing.assert_array_equal(found, table.probabilities[1])


def test_a_file_without_sound_has_no_answer_of_a_model_that_hears(here, monkeypatch):
    monkeypatch.chdir(here)
    heard, mute = answer(here, scorer(here, "ear"), "both.mkv", "mute.mkv")
    assert heard.shape == (3,)
    assert (mute.reason, mute.video) == ("no_audio", str(here / "mute.mkv"))


def test_a_member_that_hears_nothing_is_left_out_and_the_others_share_its_weight(here, monkeypatch):
    monkeypatch.chdir(here)
    eye, ear = (answer(here, scorer(here, name), "both.mkv")[0] for name in ("eye", "ear"))
    seen = answer(here, scorer(here, "eye"), "mute.mkv")[0]
    fused, mute = answer(here, both(here, 0.25, 0.75), "both.mkv", "mute.mkv")
    np.testing.assert_allclose(fused, 0.25 * eye + 0.75 * ear, rtol=1e-5)
    np.testing.assert_allclose(mute, seen, rtol=1e-6)
    np.testing.assert_allclose(answer(here, both(here, 0.0, 1.0), "mute.mkv")[0], seen, rtol=1e-6)


def test_members_without_weight_answer_a_silent_video_that_nobody_else_does(here, monkeypatch):
    monkeypatch.chdir(here)
    predictors = {name: scorer(here, name).members[0].predictor for name in ("ear", "eye")}
    table = PredictionTable.read(here / "ear/val.parquet")
    meta = {"protocol": "multiscale", "checkpoints": {n: one.meta["checkpoint"] for n, one in predictors.items()}}
    replace(table, meta=meta).write(here / "ensemble/val.parquet")
    write_json(here / "ensemble/weights.json", {"mean": "probability", "members": {"ear": 1.0, "eye": 0.0}})
    heard, mute = answer(here, scorer(here, "ensemble"), "both.mkv", "mute.mkv")
    np.testing.assert_array_equal(heard, answer(here, scorer(here, "ear"), "both.mkv")[0])
    np.testing.assert_array_equal(mute, answer(here, scorer(here, "eye"), "mute.mkv")[0])


def test_a_name_that_is_no_utf8_is_broken_to_who_hears_too(here, monkeypatch):
    monkeypatch.chdir(here)
    (found,) = answer(here, scorer(here, "ear"), os.fsdecode(b"caf\xe9.mkv"))
    assert found.reason == "name"
    assert found.path.endswith("caf\\udce9.mkv")


def test_a_timeline_of_what_is_heard_ends_with_the_sound(here, monkeypatch):
    monkeypatch.chdir(here)
    short = ["-f", "lavfi", "-i", "sine=f=800:r=16000:d=0.25"]
    ffmpeg([*PICTURE, *short, "-c:a", "flac", str(here / "short.mkv")])
    machine, one = tiny.machine(here / "work"), scorer(here, "ear")
    files = [here / name for name in ("short.mkv", "mute.mkv")]
    (_, places), (_, mute) = timeline.answers(files, one, CONFIG, machine, 0.2, 0.2)
    assert mute.reason == "no_audio"
    assert [place.segment for place in places] == [Segment(0.0, 0.2), Segment(0.2, 0.25)]


@pytest.mark.parametrize("name", ["ear", "both"])
def test_a_timeline_hears_late_sound_where_it_is_as_a_segment_of_a_corpus_does(here, monkeypatch, tmp_path, name):
    monkeypatch.chdir(here)
    late = ["-itsoffset", "0.3", "-f", "lavfi", "-i", "sine=f=800:r=16000:d=0.2"]
    ffmpeg([*PICTURE, *late, "-c:a", "flac", str(tmp_path / "late.mkv")])
    one, machine = both(here, 0.5, 0.5) if name == "both" else scorer(here, name), tiny.machine(here / "work")
    heard, score = [], one.score

    def hears(source, video, sound):
        heard.append(sound)
        return score(source, video, sound)

    monkeypatch.setattr(one, "score", hears)
    ((_, places),) = timeline.answers([tmp_path / "late.mkv"], one, CONFIG, machine, 0.2, 0.2)
    segments = [place.segment for place in places]
    assert segments == [Segment(0.0, 0.2), Segment(0.2, 0.4), Segment(0.4, 0.5)][name == "ear" :]
    for segment, found in zip(segments, heard, strict=True):
        folder = tmp_path / segment.suffix
        folder.mkdir()
        if segment.end < 0.3:
            assert found is None
        else:
            alone = decode(tmp_path / "late.mkv", folder, CONFIG, machine.ffmpeg_path(), segment)
            np.testing.assert_array_equal(found, alone)


def test_a_timeline_of_who_only_hears_extracts_no_frame(here, monkeypatch):
    monkeypatch.chdir(here)
    monkeypatch.setattr(new_videos, "extract_frames", None)
    machine = tiny.machine(here / "work")
    ((_, places),) = timeline.answers([here / "both.mkv"], scorer(here, "ear"), CONFIG, machine, 0.2, 0.2)
    assert len(list(places)) == 3


def test_a_timeline_hears_what_sounds_at_its_place(here, monkeypatch):
    monkeypatch.chdir(here)
    machine, one = tiny.machine(here / "work"), scorer(here, "ear")
    heard = []
    score = one.score
    monkeypatch.setattr(
        one, "score", lambda source, video, sound: heard.append(len(sound)) or score(source, video, sound)
    )
    ((_, places),) = timeline.answers([here / "both.mkv"], one, CONFIG, machine, 0.2, 0.2)
    assert [place.segment for place in places] == [Segment(0.0, 0.2), Segment(0.2, 0.4), Segment(0.4, 0.5)]
    assert heard == [3200, 3200, 1600]
