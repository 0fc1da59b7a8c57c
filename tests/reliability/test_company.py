"""Several runs at a time: they wait for one another, and each gives the bytes that it gives alone."""

import pytest

from tests.support import hindrances, stage_process
from tests.support.stage_process import Running, contents, outs, run

pytestmark = pytest.mark.slow


@pytest.fixture
def clones(tmp_path, clips, without):
    """Two projects with one scratch folder, of which the second wants larger frames; nothing is extracted yet."""
    shared = f"machine.scratch={tmp_path / 'work'}"
    one = without("extract", shared)
    two = stage_process.make(tmp_path / "two", clips, shared, "extract.short_side=64")
    for name in ("check", "index", "check_corpus"):
        assert run(name, two).status == 0
    return one, two


def test_two_clones_with_one_scratch_folder_wait_for_one_another(finished, clones, tmp_path):
    one, two = clones
    first = Running("extract", one, first=hindrances.slow_frames)
    first.until(lambda: list((tmp_path / "work" / "extract").glob("*.tar")))
    second = Running("extract", two)
    second.until(lambda: "waiting for another run that works in" in second.log.read_text())
    assert (first.wait().status, second.wait().status) == (0, 0)
    assert contents(one / "data" / "frames") == contents(finished / "data" / "frames")
    assert contents(two / "data" / "frames") != contents(one / "data" / "frames")

    assert "0 of 3 shards are to be made" in run("extract", one).said, "the second has deleted those of the first"
    packing = [Running("pack", clone) for clone in clones]
    assert [each.wait().status for each in packing] == [0, 0]
    assert contents(one / "data" / "lmdb") == contents(finished / "data" / "lmdb")
    assert not [path for path in (tmp_path / "work").rglob("*") if path.name.startswith(".") or path.name == "lock"]


@pytest.mark.parametrize("stage", ["train", "infer"])
def test_the_same_work_twice_at_a_time_is_done_one_after_the_other(finished, without, stage):
    folder = without(stage)
    first = Running(stage, folder, first=hindrances.slow_frames)
    first.until(lambda: list((folder / "work").rglob("*lock")))
    second = Running(stage, folder)
    second.until(lambda: "waiting for another run that has " in second.log.read_text())
    assert (first.wait().status, second.wait().status) == (0, 0)
    for out in outs(stage):
        assert contents(folder / out) == contents(finished / out)
    assert not list((folder / "work" / stage).iterdir())
