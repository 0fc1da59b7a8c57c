"""A remote folder is listed once, gives all of a file or none, and what fails there is never a video's fault."""

import errno
import pickle
from collections import Counter
from pathlib import Path, PurePosixPath

import fsspec
import pytest
from fsspec.registry import known_implementations

from pipeline.core import fingerprints, remote_folder
from pipeline.core.errors import UserError
from pipeline.core.manifest import SPLITS, Manifest, VideoRecord
from pipeline.core.remote_folder import RemoteFolder, corpus_root, has_secret
from tests.support import unsteady
from tests.support.unsteady import Unsteady

BLOCK = 1 << 16
DOWN = ConnectionError("the service is down")


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(remote_folder, "WAITS", (0.0, 0.0))


def test_a_url_is_a_remote_root_and_all_else_a_path():
    assert corpus_root("s3://bucket/videos/") == RemoteFolder("s3://bucket/videos")
    assert corpus_root("/mnt/videos") == Path("/mnt/videos")
    assert corpus_root("C:/videos") == Path("C:/videos")


@pytest.mark.parametrize(
    "url", ["ftp://me:word@host/a", "s3://key:se/cret@bucket", "s3://key:12@bucket", "https://host/a?sig=x"]
)
def test_a_key_in_a_url_is_seen(url: str):
    assert has_secret(url)


@pytest.mark.parametrize(
    "url",
    ["s3://bucket/a", "abfs://box@account.dfs.core.windows.net/a", "sftp://me@host:22/a", "sftp://host:22/a@b", "v?"],
)
def test_a_url_without_a_key_is_let_through(url: str):
    assert not has_secret(url)


def test_the_listing_has_all_below_the_folder_and_nothing_beside_it():
    root = unsteady.folder()
    for path in ("a.mp4", "b/c.mp4", "b/d/e.txt", "../videos2/x.mp4", "../y.mp4"):
        system, inside = root.opened()
        system.pipe_file(str(PurePosixPath(f"{inside}/{path}".replace("/videos/..", ""))), path.encode())
    assert {path: listed.size for path, listed in root.files.items()} == {"a.mp4": 5, "b/c.mp4": 7, "b/d/e.txt": 9}
    assert root.is_dir()
    assert not RemoteFolder("unsteady://bucket/elsewhere").is_dir()
    assert not RemoteFolder("unsteady://bucket/elsewhere").files


def test_another_process_gets_the_folder_without_its_listing():
    root = unsteady.folder()
    unsteady.put("a.mp4", b"a")
    assert list(root.files) == ["a.mp4"]
    sent = pickle.loads(pickle.dumps(root))  # noqa: S301
    assert sent == root
    assert vars(sent) == {"url": root.url}


def test_videos_are_known_by_their_endings_and_hidden_ones_left_out():
    root = unsteady.folder()
    for path in ("b/x.MP4", "b.mp4", "b/.hidden.mp4", ".git/a.mp4", "b/notes.txt", "README"):
        unsteady.put(path, b"x")
    others = Counter[str]()
    assert list(map(str, root.videos(others))) == ["b/x.MP4", "b.mp4"]
    assert others == {".txt": 1, "": 1}


@pytest.mark.parametrize("size", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK - 1, 2 * BLOCK, 5 * BLOCK])
def test_a_remote_file_has_the_fingerprint_of_its_copy_on_disk(tmp_path: Path, size: int):
    content = bytes(n % 251 for n in range(size))
    (tmp_path / "a.mp4").write_bytes(content)
    root = unsteady.folder(tmp_path)
    found = fingerprints.of_file(root / "a.mp4")
    assert found == fingerprints.of_file(tmp_path / "a.mp4")
    assert fingerprints.size_of(found) == size
    read = [tuple(map(int, call.split()[2:])) for call in Unsteady.calls if call.startswith("read")]
    assert sum(stop - start for start, stop in read) == min(size, 2 * BLOCK)


def test_what_is_not_listed_or_has_just_gone_is_missing():
    root = unsteady.folder()
    unsteady.put("a.mp4", b"a")
    assert fingerprints.of_file(root / "b.mp4") == "missing"
    root.opened()[0].rm_file("/bucket/videos/a.mp4")
    assert fingerprints.of_file(root / "a.mp4") == "missing"


def test_index_lists_once_and_reads_only_what_is_new(tmp_path: Path, caplog):
    root = unsteady.folder()
    names = [f"{n}.mp4" for n in range(6)]
    for name in names:
        unsteady.put(name, name.encode())

    def look(root: RemoteFolder) -> list[str]:
        Unsteady.calls.clear()
        rows = [VideoRecord(name, SPLITS[n % 3], name, "x") for n, name in enumerate(names)]
        found = fingerprints.look(Manifest.from_records(rows, ["x"]), root, tmp_path, workers=2)
        return found.table["fingerprint"].tolist()

    first = look(root)
    assert len(set(first)) == 6
    assert sorted(Unsteady.calls) == ["find", *(f"read /bucket/videos/{name} 0 5" for name in names)]
    assert look(RemoteFolder(root.url)) == first
    assert Unsteady.calls == ["find"]

    unsteady.put("3.mp4", b"x.mp4")  # the same size, and perhaps the same second
    root.opened()[0].rm_file("/bucket/videos/5.mp4")
    again = look(RemoteFolder(root.url))
    assert Unsteady.calls == ["find", "read /bucket/videos/3.mp4 0 5"]
    assert [n for n in range(6) if again[n] != first[n]] == [3, 5]
    assert again[5] == "missing"
    said = (
        "1 of 6 files are missing in unsteady://bucket/videos, or cannot be read, and count as broken: 5.mp4 (no such"
    )
    assert caplog.messages[-1].startswith(said)


@pytest.mark.parametrize("call", ["listing", "reading", "fetching"])
@pytest.mark.parametrize(("trouble", "tries"), [([DOWN], 2), ([DOWN, TimeoutError()], 3), ([DOWN] * 3, 0)])
def test_a_service_is_asked_again_and_then_it_is_an_error(tmp_path: Path, call: str, trouble: list, tries: int):
    root = unsteady.folder()
    unsteady.put("a.mp4", b"0123456789")
    root = RemoteFolder(root.url)
    ask = {
        "listing": lambda: sorted(root.files),
        "reading": lambda: root.read("a.mp4", 2, 4),
        "fetching": lambda: (root.fetch("a.mp4", 10, tmp_path / "copy"), (tmp_path / "copy").read_bytes())[1],
    }[call]
    right = {"listing": ["a.mp4"], "reading": b"23", "fetching": b"0123456789"}[call]
    Unsteady.errors[:] = trouble
    Unsteady.calls.clear()
    if tries:
        assert ask() == right
        assert len(Unsteady.calls) == tries
    else:
        with pytest.raises(UserError, match=r"3 times \(ConnectionError: the service is down\)\. That is no fault of"):
            ask()


def test_half_of_a_file_is_never_taken(tmp_path: Path):
    root = unsteady.folder()
    unsteady.put("a.mp4", b"0123456789")
    Unsteady.errors[:] = ["half"]
    assert root.read("a.mp4", 0, 10) == b"0123456789"
    Unsteady.errors[:] = ["half"]
    root.fetch("a.mp4", 10, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"0123456789"
    Unsteady.errors[:] = ["half"] * 3
    with pytest.raises(UserError, match=r"/a.mp4 did not come, 3 times \(OSError: 5 bytes instead of 10\)"):
        root.fetch("a.mp4", 10, tmp_path / "copy")


def test_rights_are_told_at_once_and_a_full_disk_by_its_own_error(tmp_path: Path):
    root = unsteady.folder()
    unsteady.put("a.mp4", b"0123456789")
    Unsteady.errors[:] = [PermissionError("Access Denied")]
    with pytest.raises(UserError, match=r"a.mp4 may not be read \(PermissionError: Access Denied\)"):
        root.read("a.mp4", 0, 10)
    Unsteady.errors[:] = [OSError(errno.ENOSPC, "No space left on device")]
    with pytest.raises(OSError, match="No space left"):
        root.fetch("a.mp4", 10, tmp_path / "copy")


def test_a_folder_that_cannot_be_listed_is_no_empty_one(monkeypatch: pytest.MonkeyPatch):
    """fsspec's own listing, folder by folder, passes over what fails."""

    class Plain(unsteady.Unsteady):
        find = fsspec.AbstractFileSystem.find

        def ls(self, path: str, detail: bool = True, **options: object) -> object:
            if path.endswith("shut"):
                raise DOWN
            return super().ls(path, detail=detail, **options)

    root = unsteady.folder()
    unsteady.put("open/a.mp4", b"a")
    unsteady.put("shut/b.mp4", b"b")
    monkeypatch.setattr(RemoteFolder, "opened", lambda _: (Plain(), "/bucket/videos"))
    assert list(Plain().find("/bucket")) == ["/bucket/videos/open/a.mp4"]
    with pytest.raises(UserError, match=r"videos \(/bucket/videos/shut\) did not come, 3 times \(ConnectionError"):
        root.files  # noqa: B018
    monkeypatch.setattr(Plain, "ls", Unsteady.ls)
    assert sorted(root.files) == ["open/a.mp4", "shut/b.mp4"]


def test_what_nothing_installed_reaches_is_told_with_the_command(monkeypatch: pytest.MonkeyPatch):
    lacking = {"class": "not_installed.FileSystem", "err": "Install not_installed"}
    monkeypatch.setitem(known_implementations, "lacking", lacking)
    with pytest.raises(UserError, match=r"lacking://x: Install not_installed\. `pip install .*'\.\[remote\]'`"):
        RemoteFolder("lacking://x").require_package()
    with pytest.raises(UserError, match="Protocol not known: nowhere"):
        RemoteFolder("nowhere://x").is_dir()
