"""Models that are scored along with the one of the stage, and when they are not."""

import shutil

import pytest

from pipeline.core import checksums, scratch
from pipeline.core.manifest import Manifest
from pipeline.inference.predictor import Predictor
from pipeline.runtime import lease
from pipeline.runtime.checkpoint import FILE
from tests.support.inference import (
    BOTH,
    VIEWS,
    Killed,
    assert_same_files,
    cache_of,
    infer,
    kill_after,
    scored_models,
    two_processes,
)


def test_models_that_share_a_pass_give_the_files_of_each_by_itself(models, whole, tmp_path, monkeypatch):
    alone = infer(models, tmp_path / "alone" / "out", "other")
    reads = []
    store = type(models[1][1])
    original = store.read
    monkeypatch.setattr(store, "read", lambda s, v, i: reads.append(v) or original(s, v, i))

    first = infer(models, tmp_path / "out", "net", BOTH, workers=1)
    assert_same_files(whole, first)
    assert not (tmp_path / "out/other").exists(), "its own stage writes them"
    scored = []
    monkeypatch.setattr(Predictor, "score", lambda *a: scored.append(1))
    second = infer(models, tmp_path / "out", "other", BOTH)
    assert scored == [], "the first stage has scored them"
    assert_same_files(alone, second)
    assert not any((tmp_path / "work/infer").iterdir())


def test_shared_passes_go_on_after_a_kill(models, whole, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        kill_after(patch, 2 * 20 + 1, Killed())
        with pytest.raises(Killed):
            infer(models, tmp_path / "out", "net", BOTH)
    alone = infer(models, tmp_path / "alone" / "out", "other")
    own = infer(models, tmp_path / "out", "net")  # without the other, whose first chunk stays
    assert_same_files(whole, own)
    assert_same_files(alone, infer(models, tmp_path / "out", "other", BOTH))


def test_a_model_whose_predictions_are_there_is_not_scored_again(models, tmp_path, monkeypatch):
    infer(models, tmp_path / "out", "other")
    seen = set()
    original = Predictor.score
    monkeypatch.setattr(Predictor, "score", lambda self, *a: seen.add(self.name) or original(self, *a))
    infer(models, tmp_path / "out", "net", BOTH)
    assert seen == {"net"}
    infer(models, tmp_path / "out", "net", {**BOTH, "other": VIEWS})
    assert seen == {"net", "other"}, "other views are another matter"


def test_a_model_that_another_run_is_at_is_left_to_it(models, tmp_path, monkeypatch):
    seen = scored_models(monkeypatch)
    with scratch.lock(cache_of(models, tmp_path / "out", monkeypatch, "other") / "lock"):
        infer(models, tmp_path / "out", "net", BOTH)
    assert set(seen) == {"net"}


def test_a_model_that_is_done_before_its_lease_is_had_is_not_scored_twice(models, tmp_path, monkeypatch):
    """The other model's own stage ends just before this one asks for its lease."""
    original, seen = lease.hold, scored_models(monkeypatch)

    def late(file, fabric, *, wait):
        if file.parent.name.startswith("other-"):
            with monkeypatch.context() as patch:
                patch.setattr(lease, "hold", original)
                infer(models, tmp_path / "out", "other")
            seen.clear()
        return original(file, fabric, wait=wait)

    monkeypatch.setattr(lease, "hold", late)
    infer(models, tmp_path / "out", "net", BOTH)
    assert set(seen) == {"net"}
    assert not any((tmp_path / "work/infer").iterdir())


@pytest.mark.parametrize("other", ["weights", "videos"])
def test_predictions_of_other_weights_or_videos_are_made_anew(models, tmp_path, monkeypatch, other):
    folder, corpus = models
    infer(models, tmp_path / "out", "other")
    manifest = corpus[0]
    if other == "weights":
        folder = shutil.copytree(folder, tmp_path / "models")
        shutil.copy(folder / "net" / FILE, folder / "other" / FILE)
        checksums.seal(folder / "other")
    else:  # as many
        manifest = Manifest(manifest.table.iloc[::-1].reset_index(drop=True), manifest.classes)
    seen = scored_models(monkeypatch)
    infer((folder, corpus), tmp_path / "out", "net", BOTH, corpus=manifest)
    assert seen.count("other") == 38


def test_a_broken_companion_does_not_stop_the_stage(models, whole, tmp_path, caplog):
    caplog.set_level("INFO")
    folder = shutil.copytree(models[0], tmp_path / "models")
    (folder / "other" / FILE).write_bytes(b"damaged")
    out = infer((folder, models[1]), tmp_path / "out", "net", {**BOTH, "untrained": VIEWS})
    assert_same_files(whole, out)
    assert "without other:" in caplog.text


@pytest.mark.slow
def test_a_companion_that_one_process_does_not_see_is_left_out_by_all(models, whole, tmp_path):
    for rank in (0, 1):
        shutil.copytree(models[0].parent, tmp_path / f"node-{rank}")
    shutil.rmtree(tmp_path / "node-1/models/other")
    done = two_processes(tmp_path / "node-{rank}", tmp_path / "out", "net", "other")
    assert done.returncode == 0, done.stderr[-3000:]
    assert_same_files(whole, tmp_path / "out/net")
    assert not any((tmp_path / "work/infer").iterdir())
