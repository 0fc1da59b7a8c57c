"""Which files of a folder are videos, and what is said of those that cannot be read."""

import os
import re
import resource
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.core import fingerprints
from pipeline.core.video_files import SUFFIXES, fault, inside, say_left_out
from tests.support import hostile

pytestmark = pytest.mark.timeout(60)  # nothing here may wait for a pipe


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"video")


def found(root: Path) -> list[str]:
    return [path.relative_to(root).as_posix() for path in inside(root)]


def test_videos_are_found_by_their_names_below_the_folder(tmp_path: Path):
    touch(tmp_path, "b.MP4", "a/x.webm", "a/b c/ü.mkv", "a/notes.txt", ".hidden.mp4", ".git/y.mp4", "mp4")
    assert found(tmp_path) == ["a/b c/ü.mkv", "a/x.webm", "b.MP4"]


def test_other_files_are_counted_by_their_endings_and_told(tmp_path: Path, caplog):
    touch(tmp_path, "a.mp4", "b.db", "x/c.db", "x/d.DAT", "e", ".hidden")
    others: Counter[str] = Counter()
    assert inside(tmp_path, others) == [tmp_path / "a.mp4"]
    assert others == {".db": 2, ".DAT": 1, "": 1}
    say_left_out(tmp_path, others)
    say_left_out(tmp_path, Counter())
    assert caplog.messages == [
        f"{tmp_path}: left out, as by their endings they are no videos: 2 .db, 1 without one, 1 .DAT"
    ]


def test_the_manual_lists_every_ending():
    manual = (Path(__file__).parents[2] / "docs/your-data.md").read_text()
    listed = manual[manual.index("files are videos that end in") :].partition(", in capital")[0]
    assert {f".{word}" for word in re.findall(r"[a-z0-9]+", listed.removeprefix("files are videos that end in"))} - {
        ".or"
    } == set(SUFFIXES)


def test_what_bears_the_name_of_a_video_is_listed_whatever_it_is(tmp_path: Path):
    hostile.make(tmp_path / "a")
    assert sorted(found(tmp_path)) == sorted(f"a/{name}" for name in [*hostile.FILES, *hostile.NAMES])


def test_links_to_folders_are_followed_and_never_in_a_circle(tmp_path: Path, caplog):
    root, other = tmp_path / "root", tmp_path / "other"
    touch(root, "run/1.mp4", "z/2.mp4")
    touch(other, "3.mp4", "deep/4.mp4")
    (root / "jump").symlink_to(other)  # the corpus of links that many keep beside the files
    (other / "back").symlink_to(root)
    (root / "run" / "up").symlink_to("..")
    (root / "a").symlink_to("z")
    assert found(root) == ["jump/3.mp4", "jump/deep/4.mp4", "run/1.mp4", "z/2.mp4"]
    left = sorted(text.split(":")[0].removeprefix(f"{root}/") for text in caplog.messages)
    assert left == ["a", "jump/back", "run/up"]
    assert all("as a link to a folder that is looked at already" in text for text in caplog.messages)


def test_each_file_that_cannot_be_read_has_a_reason_and_words(tmp_path: Path):
    hostile.make(tmp_path)
    assert {name: fault(tmp_path / name) for name in hostile.FILES} == hostile.FILES
    assert fault(tmp_path) == ("unreadable", "a folder, and no file")
    assert fault(tmp_path / "none.mp4") == ("missing", "no such file: none.mp4")
    touch(tmp_path, "a.mp4")
    assert fault(tmp_path / "a.mp4") is None
    (tmp_path / "a.mp4").write_bytes(b"")
    assert fault(tmp_path / "a.mp4") == ("empty", "the file has 0 bytes")


@pytest.mark.parametrize("name", hostile.NAMES.values())
def test_an_id_that_stands_for_another_name_is_explained(tmp_path: Path, name: str):
    reason, words = hostile.ABSENT
    assert fault(tmp_path / name) == (reason, words.format(name) + ": rename the file")


@pytest.fixture
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder that anybody may enter, seen by a user who may not read all that is in it."""
    folder = tmp_path_factory.mktemp("locked")
    above = [path for path in folder.parents if path.stat().st_uid == os.geteuid() and path != Path("/")]
    modes = {path: path.stat().st_mode for path in [*above, folder]}
    for path, mode in modes.items():
        path.chmod(mode | 0o755)
    touch(folder, "sound/1.mp4", "secret/2.mp4", "3.mp4")
    (folder / "secret").chmod(0)
    (folder / "3.mp4").chmod(0)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    yield folder
    if root:
        os.seteuid(0)
    (folder / "secret").chmod(0o755)
    for path in reversed(modes):
        path.chmod(modes[path])


def test_what_may_not_be_read_is_said(locked: Path, caplog):
    assert fault(locked / "sound" / "1.mp4") is None
    for name in ("3.mp4", "secret/2.mp4"):
        assert fault(locked / name) == ("unreadable", "no permission to read it (chmod u+r, and u+x for its folders)")
    assert found(locked) == ["3.mp4", "sound/1.mp4"]
    assert caplog.messages == [f"{locked}/secret: left out with all that is in it: Permission denied"]


def test_a_lack_of_open_files_is_no_fault_of_a_file(tmp_path: Path):
    touch(tmp_path, "a.mp4")
    free = os.open(tmp_path, os.O_RDONLY)
    os.close(free)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, before[1]))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            fault(tmp_path / "a.mp4")
        with pytest.raises(OSError, match="Too many open files"):
            fingerprints.of_file(tmp_path / "a.mp4")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
