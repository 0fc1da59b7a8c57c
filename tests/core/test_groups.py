"""The file of groups, and the group of each video."""

from pathlib import Path

import pytest

from pipeline.core import groups
from pipeline.core.errors import UserError
from pipeline.core.manifest import Manifest, VideoRecord

OF_VIDEO = {"b, 2.mp4": "Zoë", "a.mp4": "person 1", "c.mp4": "Zoë"}


def test_what_is_written_is_read_in_the_same_order(tmp_path: Path):
    groups.write(tmp_path / "groups.tsv", OF_VIDEO)

    assert list(groups.read(tmp_path / "groups.tsv").items()) == list(OF_VIDEO.items())
    assert (tmp_path / "groups.tsv").read_text(encoding="utf-8").splitlines()[:2] == ["video\tgroup", "b, 2.mp4\tZoë"]


def test_a_corpus_without_groups_has_a_header_alone(tmp_path: Path):
    groups.write(tmp_path / "groups.tsv", {})

    assert (tmp_path / "groups.tsv").read_bytes() == b"video\tgroup\n"
    assert groups.read(tmp_path / "groups.tsv") == {}


def test_a_missing_file_names_the_stage_that_makes_it(tmp_path: Path):
    with pytest.raises(UserError, match="`dvc repro index` makes it"):
        groups.read(tmp_path / "groups.tsv")


def test_a_video_without_a_group_is_one_by_itself():
    each = groups.of_each(["a", "b", "c", "d"], {"a": "x", "c": "x"})

    assert each[0] == each[2] == "x"
    assert len(set(each)) == 3
    assert groups.of_each(["a", "b"], {}) is None


def test_the_manifest_keeps_its_groups_through_files_and_splits(tmp_path: Path):
    records = [VideoRecord(f"{split}.mp4", split, f"{split}.mp4", "run", "1-a") for split in ("train", "val", "test")]
    manifest = Manifest.from_records(records, ["run"], groups={"val.mp4": "x"})
    files = tmp_path / "manifest.tsv", tmp_path / "classes.txt"
    manifest.write(*files)
    groups.write(tmp_path / "groups.tsv", manifest.groups)

    assert Manifest.read(*files, tmp_path / "groups.tsv").split("val").groups == {"val.mp4": "x"}
    assert Manifest.read(*files).groups == {}
