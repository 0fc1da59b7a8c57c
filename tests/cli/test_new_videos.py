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
    assert new_videos.found(["in/notes.txt", "nowhere.mp4"]) == [Path("in/notes.txt"), Path("nowhere.mp4")]
    for nothing in ("in/*.avi", "empty"):
        (tmp_path / "empty").mkdir(exist_ok=True)
        with pytest.raises(UserError, match="no video there"):
            new_videos.found([nothing])
