"""Files with the same bytes are found under all their names, and nothing else is taken for a double."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipeline.core import doubles, files, fingerprints, tsv
from pipeline.core.fingerprints import BLOCK
from pipeline.core.manifest import Manifest, VideoRecord

LONG = bytes(range(256)) * 2048  # 8 blocks


@pytest.fixture
def find(tmp_path: Path) -> Callable[[dict[str, bytes]], list[list[str]]]:
    """Write files and find the sets of copies among all that lie there, each sorted, the sets by their first name."""
    (tmp_path / "videos").mkdir()
    (tmp_path / "work").mkdir()

    def found(contents: dict[str, bytes]) -> list[list[str]]:
        for name, content in contents.items():
            (tmp_path / "videos" / name).write_bytes(content)
        names = sorted(file.name for file in (tmp_path / "videos").iterdir())
        corpus = listed(names)
        place = tmp_path / "videos", tmp_path / "work", 2
        sets = doubles.find(fingerprints.look(corpus, *place), *place)
        return [
            [name for name, its in zip(names, sets, strict=True) if its == number] for number in range(max(sets) + 1)
        ]

    return found


def listed(names: list[str], labels: list[str] | None = None, splits: list[str] | None = None) -> Manifest:
    """A manifest of these files; every split has one, as it must."""
    splits = splits or [("train", "val", "test")[number % 3] for number in range(len(names))]
    rows = [VideoRecord(*row) for row in zip(names, splits, names, labels or ["x"] * len(names), strict=True)]
    return Manifest.from_records(rows, sorted({label for row in rows for label in row.labels.split(";")}))


def test_files_with_the_same_bytes_are_a_set(find):
    assert find({"a": b"one", "b": b"two", "c": b"one", "d": b"three", "e": b"two", "f": b"one"}) == [
        ["a", "c", "f"],
        ["b", "e"],
    ]


def test_files_that_differ_in_the_middle_alone_are_none(find):
    """Their size and both ends, and so their fingerprints, are the same."""
    other = bytearray(LONG)
    other[len(LONG) // 2] ^= 1
    assert find({"a": LONG, "b": bytes(other), "c": LONG + b"x", "d": LONG[1:]}) == []
    assert find({"e": LONG, "f": bytes(other)}) == [["a", "e"], ["b", "f"]]


@pytest.mark.parametrize("size", [1, BLOCK - 1, BLOCK, 2 * BLOCK, 2 * BLOCK + 1, 2 * BLOCK + 2])
@pytest.mark.parametrize("place", ["first", "middle", "last"])
def test_no_byte_is_overlooked_at_any_size(find, size: int, place: str):
    changed = bytearray(size)
    changed[{"first": 0, "middle": size // 2, "last": size - 1}[place]] = 1
    assert find({"a": bytes(size), "b": bytes(changed), "c": bytes(size)}) == [["a", "c"]]


def test_links_to_one_file_are_doubles_and_it_is_read_once(find, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    read, whole = [], files.file_hash
    monkeypatch.setattr(files, "file_hash", lambda path: (read.append(path.name), whole(path))[1])
    videos = tmp_path / "videos"
    (videos / "a").write_bytes(LONG)
    (videos / "b").hardlink_to(videos / "a")
    (videos / "c").symlink_to(videos / "a")
    (videos / "d").symlink_to("b")
    assert find({"e": b"other"}) == [["a", "b", "c", "d"]]
    assert len(read) == 1


def test_missing_unreadable_and_empty_files_are_nobodys_double(find, tmp_path: Path):
    videos = tmp_path / "videos"
    for number in range(2):
        (videos / f"gone{number}").symlink_to("nothing")
        os.mkfifo(videos / f"pipe{number}")
        (videos / f"folder{number}").mkdir()
    assert find({"empty0": b"", "empty1": b"", "x": b"same", "y": b"same"}) == [["x", "y"]]


def test_only_files_of_equal_fingerprint_are_read_as_a_whole_and_only_once(find, tmp_path: Path, monkeypatch):
    read, whole = [], files.file_hash
    monkeypatch.setattr(files, "file_hash", lambda path: (read.append(path.name), whole(path))[1])
    monkeypatch.setattr(fingerprints, "SETTLED", -3600.0)
    contents = {"a": LONG, "b": LONG, "c": LONG[::-1], "d": LONG + LONG, "short0": b"same", "short1": b"same"}

    for _ in range(2):
        names = [["a", "b"], ["short0", "short1"]]
        assert find({} if read else contents) == names
        assert sorted(read) == ["a", "b"]
    assert find({"b": LONG[:-1] + b"x", "e": LONG}) == [["a", "e"], ["short0", "short1"]]
    assert sorted(read) == ["a", "b", "e"]


def test_rows_of_one_file_are_no_copies_of_one_another_but_of_another_file(tmp_path: Path):
    (tmp_path / "long").write_bytes(b"bytes")
    (tmp_path / "copy").write_bytes(b"bytes")
    rows = [VideoRecord(f"{n}", s, "long", "x") for n, s in enumerate(("train", "val", "test"))]
    place = tmp_path, tmp_path / "work", 1
    (tmp_path / "work").mkdir()
    alone = fingerprints.look(Manifest.from_records(rows, ["x"]), *place)
    assert doubles.find(alone, *place).tolist() == [-1, -1, -1]
    both = fingerprints.look(Manifest.from_records([*rows, VideoRecord("3", "val", "copy", "x")], ["x"]), *place)
    assert doubles.find(both, *place).tolist() == [0, 0, 0, 0]


def test_sets_are_those_that_a_comparison_of_all_pairs_finds(find, tmp_path: Path):
    rng = np.random.default_rng(0)
    kinds = [rng.bytes(size) for size in (3, 50, BLOCK, 3 * BLOCK)]
    contents = {f"{n:02d}": kinds[rng.integers(4)] if n % 3 else rng.bytes(60) for n in range(40)}
    pairs = {(a, b) for a in contents for b in contents if a < b and contents[a] == contents[b]}
    assert {(a, b) for its in find(contents) for a in its for b in its if a < b} == pairs
    assert len(pairs) > 20


def test_the_table_names_all_of_a_set_and_says_where_labels_differ(tmp_path: Path):
    names = list("abcdefgh")
    labels = ["run", "run;jump", "jump", "jump;run", "run", "swim", "swim", ""]
    splits = ["train", "train", "train", "val", "test", "train", "test", "test"]
    rows = [VideoRecord(*row) for row in zip(names, splits, names, labels, strict=True)][:7]
    corpus = Manifest.from_records(rows, ["jump", "run", "swim"])
    sets, kept = np.array([0, 1, 0, 1, -1, 2, 2]), np.array([True, False, True, True, True, True, True])

    tsv.write(tmp_path / "doubles.tsv", doubles.table(corpus, sets, kept))
    assert (tmp_path / "doubles.tsv").read_text().splitlines() == [
        "set\tvideo\tsplit\tlabels\tlabels_differ\tdropped",
        "1\ta\ttrain\trun\tyes\tno",
        "1\tc\ttrain\tjump\tyes\tno",
        "2\tb\ttrain\trun;jump\tno\tyes",
        "2\td\tval\tjump;run\tno\tno",
        "3\tf\ttrain\tswim\tno\tno",
        "3\tg\ttest\tswim\tno\tno",
    ]
    assert doubles.read(tmp_path / "doubles.tsv")["set"].tolist() == [1, 1, 2, 2, 3, 3]


def test_an_unlabelled_copy_differs_from_none():
    rows = [VideoRecord(name, split, name, "") for name, split in zip("abc", ("train", "val", "test"), strict=True)]
    corpus = Manifest.from_records([row._replace(labels="x" if row.split != "test" else "") for row in rows], ["x"])
    assert doubles.table(corpus, np.zeros(3, int), np.ones(3, bool))["labels_differ"].tolist() == ["no"] * 3


@pytest.mark.parametrize(
    ("one", "other", "differ"),
    [
        ("run", "run;?jump", "no"),
        ("run;jump", "run;?jump", "no"),
        ("run", "?run", "no"),
        ("run", "jump;?run", "yes"),
        ("jump;?run", "?run;jump", "no"),
        ("run", ";", "yes"),
        (";", "?run", "no"),
    ],
)
def test_what_nobody_knows_differs_from_nothing(one, other, differ):
    texts, splits = (one, other, "run;jump", "run", "run"), ("train", "train", "train", "val", "test")
    rows = [VideoRecord(*row) for row in zip("abcde", splits, "abcde", texts, strict=True)]
    corpus = Manifest.from_records(rows, ["jump", "run"])
    found = doubles.table(corpus, np.array([0, 0, -1, -1, -1]), np.ones(5, bool))
    assert found["labels_differ"].tolist() == [differ] * 2


def test_without_doubles_the_table_is_a_header(tmp_path: Path):
    nothing = doubles.table(listed(list("abc")), np.full(3, -1), np.ones(3, bool))
    tsv.write(tmp_path / "doubles.tsv", nothing)
    assert (tmp_path / "doubles.tsv").read_text() == "\t".join(doubles.COLUMNS) + "\n"
    assert doubles.read(tmp_path / "doubles.tsv").empty
