"""Files whose names the annotations have in another Unicode form."""

import unicodedata
from pathlib import Path

import pytest

from pipeline.core import fingerprints, spelling
from pipeline.core.manifest import Manifest, VideoRecord

NAMES = ("Café/naïve é.mp4", "a.mp4", "가.mp4")


def corpus(*paths: str) -> Manifest:
    rows = [VideoRecord(path, split, path, "run") for path, split in zip(paths, ("train", "val", "test"), strict=True)]
    return Manifest.from_records(rows, ["run"])


def files(root: Path, form: str, names: tuple[str, ...] = NAMES) -> list[str]:
    made = [unicodedata.normalize(form, name) for name in names]
    for name in made:
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(b"x" * len(name))
    return made


@pytest.mark.parametrize(("disk", "said"), [("NFD", "NFC"), ("NFC", "NFD")])
def test_a_file_is_found_by_the_other_form_of_its_name_and_that_is_said(tmp_path: Path, caplog, disk: str, said: str):
    made = files(tmp_path, disk)
    annotated = corpus(*(unicodedata.normalize(said, name) for name in NAMES))
    found = spelling.on_disk(annotated, tmp_path)
    assert found.table["path"].tolist() == made
    assert found.videos == annotated.videos
    (text,) = caplog.messages
    assert "2 files found by another Unicode form of the name than the annotations have: 'Caf" in text
    assert "missing" not in fingerprints.look(annotated, tmp_path, tmp_path / "work", 1).table["fingerprint"].tolist()


def test_names_that_are_there_and_names_that_are_nowhere_stay(tmp_path: Path, caplog):
    files(tmp_path, "NFD")
    both = files(tmp_path, "NFC")
    assert spelling.on_disk(corpus(*both), tmp_path).table["path"].tolist() == both
    nowhere = corpus("é/x.mp4", "ü.mp4", "a.mp4")
    assert spelling.on_disk(nowhere, tmp_path) is nowhere
    assert not caplog.messages


def test_a_name_that_fits_two_files_is_not_guessed(tmp_path: Path):
    one, other = "\u00ea\u0323.mp4", "\u1eb9\u0302.mp4"  # neither is the composed form
    files(tmp_path, "NFC", ("b.mp4",))
    for name in (one, other):
        (tmp_path / name).write_bytes(b"x")
    composed = corpus(unicodedata.normalize("NFC", one), "b.mp4", "c.mp4")
    assert len({one, other, composed.videos[0]}) == 3
    assert spelling.on_disk(composed, tmp_path) is composed
