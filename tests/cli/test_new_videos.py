"""Which files are meant by what was named; tests/cli/test_predict.py has the scores."""

from pathlib import Path

import pytest

from pipeline.cli import new_videos
from pipeline.core.errors import UserError


def test_folders_and_patterns_give_the_videos_in_them(tmp_path, monkeypatch):
    for name in ("b.MP4", "a.webm", "deep/c.mkv", "notes.txt"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).touch()
    monkeypatch.chdir(tmp_path)
    names = [Path("in") / name for name in ("a.webm", "b.MP4", "deep/c.mkv")]
    assert new_videos.found(["in"]) == names
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
