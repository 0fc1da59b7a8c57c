"""Foreign and hand-made files: each ends as foreign_files.csv says, in bounded memory.

They are not in the repository: FOREIGN_MEDIA names their folder. The table follows what another version of FFmpeg
decoded, the rates and boxes of the containers, and how the files were made. Where those leave several reasons open, it
has all.
"""

import csv
import os
from pathlib import Path

import numpy as np
import pytest
import simplejpeg

from tests.support.measured_extraction import MOST_MEMORY, outcome

pytestmark = pytest.mark.nightly

FOLDER = Path(os.environ["FOREIGN_MEDIA"])
TABLE = Path(__file__).with_name("foreign_files.csv")
with TABLE.open(encoding="utf-8", newline="") as _file:
    ROWS = {row["file"]: row for row in csv.DictReader(_file)}
NO_MEDIA = (".csv", ".md", ".txt")
OTHERS = sorted(
    name
    for path in FOLDER.rglob("*")
    if path.is_file() and path.suffix not in NO_MEDIA and (name := path.relative_to(FOLDER).as_posix()) not in ROWS
)


@pytest.mark.parametrize("name", ROWS)
def test_a_foreign_file_ends_as_the_table_says(tmp_path: Path, name: str):
    row = ROWS[name]

    found = outcome(FOLDER / name, tmp_path)
    assert found.reason in row["outcome"].split(), found.words
    if row["frames"]:
        assert abs(found.frames - int(row["frames"])) <= 2
    if row["says"] == "nothing":
        assert found.words == ""
    assert found.megabytes < MOST_MEMORY


def test_files_that_are_not_in_the_table_end_in_frames_or_a_reason(tmp_path: Path):
    for number, name in enumerate(OTHERS):
        folder = tmp_path / str(number)
        folder.mkdir()
        assert outcome(FOLDER / name, folder).megabytes < MOST_MEMORY, name


@pytest.mark.parametrize("name", ["found/col_601tagged.mp4", "found/col_709tagged.mp4"])
def test_the_colour_is_the_same_whatever_the_matrix(tmp_path: Path, name: str):
    outcome(FOLDER / name, tmp_path)

    picture = simplejpeg.decode_jpeg((tmp_path / "frames" / "000000.jpg").read_bytes())
    assert np.abs(picture.astype(int) - [32, 192, 64]).max() <= 4
