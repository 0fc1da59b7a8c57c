"""A model's videos scored in shares (`--shard 1/2`): the bytes of one run, whoever dies and whoever comes last."""

import time
from multiprocessing.context import ForkServerProcess

import pytest

from pipeline.core.share import Share
from tests.support import forks, infer_tiny
from tests.support.inference import Killed, assert_same_files, cache_of, infer, kill_after, scored_models


def test_the_share_that_comes_last_writes_and_each_scores_its_own_alone(models, whole, tmp_path, monkeypatch, caplog):
    caplog.set_level("INFO")
    scored = scored_models(monkeypatch)
    out = infer(models, tmp_path / "out", share=Share(2, 2))
    assert len(scored) == 16, "the second of three chunks"
    assert "2 of 3 chunks lack scores" in caplog.text
    assert not out.exists()
    infer(models, tmp_path / "out", share=Share(1, 2))
    assert len(scored) == 38
    assert_same_files(whole, out)


def test_a_share_that_is_started_again_scores_nothing_and_nor_does_the_whole_run(models, whole, tmp_path, monkeypatch):
    for number in (1, 2):
        infer(models, tmp_path / "out", share=Share(number, 2))
    scored = scored_models(monkeypatch)
    assert_same_files(whole, infer(models, tmp_path / "out", share=Share(1, 2)))
    assert_same_files(whole, infer(models, tmp_path / "out"))
    assert not scored
    assert not any((tmp_path / "work/infer").iterdir()), "what all shares have scored is deleted by the whole run"


def test_a_share_that_was_killed_goes_on_after_its_last_chunk(models, whole, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        kill_after(patch, 20, Killed())
        with pytest.raises(Killed):
            infer(models, tmp_path / "out", share=Share(1, 2))
    out = infer(models, tmp_path / "out", share=Share(2, 2))
    assert not out.exists()
    scored = scored_models(monkeypatch)
    infer(models, tmp_path / "out", share=Share(1, 2))
    assert len(scored) == 6, "the third chunk"
    assert_same_files(whole, out)


def test_the_scores_of_other_weights_are_never_taken(models, whole, tmp_path):
    infer(models, tmp_path / "other", name="other", share=Share(1, 2))
    infer(models, tmp_path / "out", share=Share(2, 2))
    assert not (tmp_path / "out/net").exists()
    assert_same_files(whole, infer(models, tmp_path / "out", share=Share(1, 2)))


@pytest.mark.slow
def test_shares_in_processes_of_their_own_of_which_one_is_killed_and_repeated(models, whole, tmp_path, monkeypatch):
    folder = cache_of(models, tmp_path / "out", monkeypatch, "net")

    def start(share: str) -> ForkServerProcess:
        return forks.start(infer_tiny.main, models[0].parent, tmp_path / "out", {"share": share}, ["net"])

    first = start("1/2")
    while not (folder / "lock-1-of-2").is_file():
        assert first.is_alive()
        time.sleep(0.01)
    first.kill()
    first.join(60)
    assert not (tmp_path / "out/net").exists()
    both = [start("2/2"), start("1/2")]
    for process in both:
        process.join(300)
    assert [process.exitcode for process in both] == [0, 0]
    assert_same_files(whole, tmp_path / "out/net")
