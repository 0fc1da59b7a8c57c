"""One folder a class, with and without folders of splits above."""

from pathlib import Path

import pandas as pd
import pytest

from pipeline.core.errors import UserError
from pipeline.core.manifest import DatasetConfig, Manifest
from pipeline.core.names import LONGEST_ID
from pipeline.datasets import class_folders
from tests.support import hostile, unsteady


def read(root: Path, annotations: Path | None = None) -> Manifest:
    config = DatasetConfig(
        format="class_folders", root=str(root), annotations=str(annotations or root), after="conf", generated=(),
        classes=None, val_share=0.2, test_share=0.2, split_seed=0,
    )  # fmt: skip
    return class_folders.read(config)


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"video")


def test_the_folder_is_the_label_and_the_path_the_id(tmp_path: Path, caplog):
    touch(tmp_path, *(f"{name}/{n}.mp4" for name in ("long jump", "grün") for n in range(5)))
    touch(tmp_path, "grün/day 1/x.MOV", "grün/notes.txt", "grün/.trash.mp4", ".git/y.mp4", "loose.avi")
    manifest = read(tmp_path)

    assert manifest.classes == ("grün", "long jump")
    assert sorted(manifest.videos) == sorted(
        ["grün/day 1/x.MOV", *(f"{name}/{n}.mp4" for name in ("long jump", "grün") for n in range(5))]
    )
    labels = dict(zip(manifest.videos, manifest.table["labels"], strict=True))
    assert all(label == video.split("/")[0] for video, label in labels.items())
    assert any("left out, as in no folder of a class (1): loose.avi" in text for text in caplog.messages)


@pytest.mark.parametrize("above", ["", "train/"])
def test_a_folder_of_a_class_that_is_empty_is_refused(tmp_path: Path, above: str):
    touch(tmp_path, *(f"{above}{name}/{n}.mp4" for name in ("jump", "run") for n in range(9)))
    (tmp_path / above / "swim").mkdir()
    with pytest.raises(UserError, match=f"{above}swim is empty, and may be the folder of a class"):
        read(tmp_path)


@pytest.mark.parametrize("splits", [True, False])
def test_a_remote_folder_is_read_as_its_copy_on_disk(tmp_path: Path, monkeypatch, caplog, splits: bool):
    tops = ("train", "val", "test") if splits else ("",)
    touch(
        tmp_path,
        *(str(Path(top, name, f"{n}.mp4")) for top in tops for name in ("long jump", "grün") for n in range(9)),
    )
    touch(tmp_path, "train/grün/day 1/x.MOV", "train/grün/notes.txt", "train/run/.trash.mp4", ".git/y.mp4", "loose.avi")
    here, said = read(tmp_path), [text.replace(str(tmp_path), "ROOT") for text in caplog.messages]
    caplog.clear()
    remote = unsteady.folder(tmp_path)
    monkeypatch.setattr("pipeline.core.remote_folder.corpus_root", lambda _: remote)
    monkeypatch.setattr("pipeline.datasets._annotations.corpus_root", lambda _: remote)
    monkeypatch.setattr("pipeline.datasets.class_folders.corpus_root", lambda _: remote)
    there = read(tmp_path)

    pd.testing.assert_frame_equal(here.table, there.table)
    assert here.classes == there.classes
    assert [text.replace(remote.url, "ROOT") for text in caplog.messages] == said
    assert len(said) == 2


def test_folders_of_splits_are_the_splits(tmp_path: Path):
    touch(tmp_path, *(f"{split}/run/{split}.mp4" for split in ("train", "val", "test")))
    manifest = read(tmp_path)

    assert manifest.classes == ("run",)
    assert dict(zip(manifest.table["split"], manifest.videos, strict=True)) == {
        split: f"{split}/run/{split}.mp4" for split in ("train", "val", "test")
    }


def test_a_class_may_be_called_train(tmp_path: Path):
    touch(tmp_path, *(f"{name}/{n}.mp4" for name in ("train", "bus") for n in range(10)))
    assert read(tmp_path).classes == ("bus", "train")


def test_what_is_no_video_is_a_row_whose_id_any_file_may_hold(tmp_path: Path):
    touch(tmp_path, *(f"run/{n}.mp4" for n in range(10)), "jump/0.mp4")
    hostile.make(tmp_path / "run")
    long = "ö" * 126 + "/"
    touch(tmp_path, f"run/{long * 2}{'ö' * 120}.mp4")
    manifest = read(tmp_path)
    ids = {*(f"{n}.mp4" for n in range(10)), *hostile.FILES, *hostile.NAMES.values()}
    (other,) = {video.removeprefix("run/") for video in manifest.videos} - ids - {"jump/0.mp4"}
    assert len(manifest) == len(ids) + 2
    assert len(f"run/{other}".encode()) <= LONGEST_ID
    manifest.write(tmp_path / "manifest.tsv", tmp_path / "classes.txt")
    assert Manifest.read(tmp_path / "manifest.tsv", tmp_path / "classes.txt").videos == manifest.videos


def test_what_is_no_such_folder_is_refused(tmp_path: Path):
    touch(tmp_path, "a.mp4", "notes/a.txt")
    with pytest.raises(UserError, match="has no video in a folder of its class"):
        read(tmp_path)
    with pytest.raises(UserError, match=r"Write `annotations: \$\{.root\}`"):
        read(tmp_path, tmp_path / "a.mp4")
    with pytest.raises(UserError, match="is no folder"):
        read(tmp_path / "nowhere")


@pytest.mark.parametrize("videos", [1, 30])
def test_the_folder_of_one_class_is_refused_with_the_one_above(tmp_path: Path, videos: int, monkeypatch):
    touch(tmp_path / "clips/run", *(f"day 1/{n}.mp4" for n in range(videos)))
    above = tmp_path / "clips"
    with pytest.raises(UserError, match=rf"there is one class only, 'day 1'. Did you mean the folder above, {above}\?"):
        read(above / "run")
    monkeypatch.chdir(above / "run")
    with pytest.raises(UserError, match=rf"Did you mean the folder above, {above}\?"):
        read(Path())


def test_a_folder_whose_name_is_no_class_is_refused_by_name(tmp_path: Path):
    touch(tmp_path, "run;jump/a.mp4")
    with pytest.raises(UserError, match=r"a.mp4: 'run;jump' cannot be a class name"):
        read(tmp_path)


@pytest.mark.parametrize("names", [("Train", "Test"), ("train", "validation", "test"), ("training", "testing")])
def test_splits_by_other_names_are_not_taken_for_classes(tmp_path: Path, names: tuple[str, ...]):
    touch(tmp_path, *(f"{split}/{name}/{n}.mp4" for split in names for name in ("run", "jump") for n in range(5)))
    with pytest.raises(UserError, match=f"{', '.join(sorted(names))} seem to be splits. Name them train, val, test"):
        read(tmp_path)
