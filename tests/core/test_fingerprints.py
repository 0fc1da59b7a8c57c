"""A replaced video is noticed by its fingerprint, and a file that nobody touched is not read again."""

import os
from pathlib import Path

import pytest

from pipeline.core import fingerprints
from pipeline.core.errors import UserError
from pipeline.core.fingerprints import MEMORY, look, of_file
from pipeline.core.manifest import SPLITS, Manifest, VideoRecord
from tests.support import hostile

BLOCK = 1 << 16


def fingerprint(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    return of_file(path)


@pytest.mark.parametrize("size", [1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK - 1, 2 * BLOCK, 5 * BLOCK])
def test_a_fingerprint_changes_with_the_first_byte_the_last_byte_and_the_size(tmp_path: Path, size: int):
    zeros = bytes(size)
    different = {zeros, b"\1" + zeros[1:], zeros[:-1] + b"\1", zeros + b"\0"}

    assert len({fingerprint(tmp_path / "file", content) for content in different}) == len(different)


def test_a_fingerprint_says_the_size_and_is_the_same_for_a_copy(tmp_path: Path):
    content = bytes(range(250)) * 4000

    assert fingerprint(tmp_path / "a", content) == fingerprint(tmp_path / "b", content)
    assert fingerprint(tmp_path / "a", content).startswith("1000000-")


def test_no_byte_of_a_file_of_up_to_two_blocks_is_overlooked(tmp_path: Path):
    zeros = bytearray(BLOCK + 100)
    before = fingerprint(tmp_path / "file", bytes(zeros))

    for place in (BLOCK - 1, BLOCK, BLOCK + 50):
        changed = zeros.copy()
        changed[place] = 1
        assert fingerprint(tmp_path / "file", bytes(changed)) != before


@pytest.mark.timeout(60)
def test_what_cannot_be_read_has_its_reason_as_fingerprint(tmp_path: Path):
    hostile.make(tmp_path)
    for name, (reason, _) in hostile.FILES.items():
        assert of_file(tmp_path / name) == reason
    assert of_file(tmp_path) == "unreadable"
    assert of_file(tmp_path / "nothing") == of_file(tmp_path / "pipe.mp4" / "inside") == "missing"


class Corpus:
    """Six files; `read` are the names of those that the last look has read."""

    def __init__(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root, self.scratch, self.read = home / "videos", home / "work", []
        self.scratch.mkdir()
        self.root.mkdir()
        self.names = [f"{n}.mp4" for n in range(6)]
        for name in self.names:
            (self.root / name).write_bytes(name.encode())
        monkeypatch.setattr(fingerprints, "of_file", lambda path: (self.read.append(path.name), of_file(path))[1])

    def look(self) -> list[str]:
        rows = [VideoRecord(name, SPLITS[n % 3], name, "x") for n, name in enumerate(self.names)]
        self.read.clear()
        found = look(Manifest.from_records(rows, ["x"]), self.root, self.scratch, workers=2)
        return found.table["fingerprint"].tolist()


@pytest.fixture
def corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Corpus:
    """Files that count as changed long ago, however young they are."""
    monkeypatch.setattr(fingerprints, "SETTLED", -3600.0)
    return Corpus(tmp_path, monkeypatch)


def test_a_file_is_read_once(corpus: Corpus):
    first = corpus.look()
    assert first == [of_file(corpus.root / name) for name in corpus.names]
    assert sorted(corpus.read) == corpus.names

    corpus.names.reverse()
    assert corpus.look() == first[::-1]
    assert corpus.read == []


def test_a_file_of_many_segments_is_read_once(corpus: Corpus):
    rows = [VideoRecord(f"{n}", SPLITS[n % 3], f"{n % 2}.mp4", "x", "", n, n + 1) for n in range(6)]
    found = look(Manifest.from_records(rows, ["x"]), corpus.root, corpus.scratch, workers=2)

    assert found.table["fingerprint"].tolist() == [of_file(corpus.root / f"{n % 2}.mp4") for n in range(6)]
    assert sorted(corpus.read) == ["0.mp4", "1.mp4"]


def test_a_replaced_file_is_read_again_though_its_size_and_time_are_kept(corpus: Corpus):
    first, victim = corpus.look(), corpus.root / "3.mp4"
    before = victim.stat()
    victim.write_bytes(b"x.mp4")
    os.utime(victim, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (victim.stat().st_size, victim.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)

    again = corpus.look()
    assert corpus.read == ["3.mp4"]
    assert [n for n in range(6) if again[n] != first[n]] == [3]


def test_files_that_go_and_come_are_noticed(corpus: Corpus, caplog):
    first, victim = corpus.look(), corpus.root / "3.mp4"
    victim.rename(corpus.root / "away")
    assert corpus.look() == [*first[:3], "missing", *first[4:]]
    said = "1 of 6 files are missing in {}, or cannot be read, and count as broken: 3.mp4 (no such file: 3.mp4)"
    assert caplog.messages == [said.format(corpus.root)]
    (corpus.root / "away").rename(victim)
    assert corpus.look() == first
    corpus.names.append("new.mp4")
    assert corpus.look() == [*first, "missing"]


def test_where_most_files_are_missing_the_root_is_asked_after(corpus: Corpus, caplog):
    for name in corpus.names[:4]:
        (corpus.root / name).unlink()
    corpus.look()
    assert caplog.messages[0].endswith("Is dataset.root right?")


def test_a_file_that_may_be_changing_is_read_again(corpus: Corpus, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(fingerprints, "SETTLED", 3600.0)
    assert corpus.look() == corpus.look()
    assert sorted(corpus.read) == corpus.names


def test_what_was_read_before_an_error_is_not_read_again(corpus: Corpus, monkeypatch: pytest.MonkeyPatch):
    first = corpus.look()
    (corpus.scratch / MEMORY).unlink()
    whole = fingerprints.of_file

    def failing(path: Path) -> str:
        if path.name == "4.mp4":
            raise UserError("the service does not answer")
        return whole(path)

    with monkeypatch.context() as service:
        service.setattr(fingerprints, "of_file", failing)
        with pytest.raises(UserError, match="does not answer"):
            corpus.look()
    assert set(corpus.names[:4]) <= set(corpus.read)
    assert corpus.look() == first
    assert sorted(corpus.read) == corpus.names[4:]


@pytest.mark.parametrize(
    "content", [b"", b"path\tsize\n", b"path\tsize\tchanged\tfingerprint\na\tb\tc\td\n", b"\xff\t\t\t\n"]
)
def test_a_damaged_memory_is_forgotten(corpus: Corpus, content: bytes):
    first = corpus.look()
    (corpus.scratch / MEMORY).write_bytes(content)
    assert corpus.look() == first
    assert sorted(corpus.read) == corpus.names
