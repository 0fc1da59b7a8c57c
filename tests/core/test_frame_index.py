"""The index of the frames: what `extract` and `pack` hand on, byte by byte."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from pipeline.core import frame_index
from pipeline.core.errors import UserError

TABLE = pd.DataFrame(
    {"note": ["", "cut short"], "promised": [6, 9], "video": ["a", "b/c"], "shard": ["s0", "s1"], "frames": [6, 4]}
).assign(width=[40, 44], height=[32, 36], decoded=[3, 5], damaged=[0, 1])


def test_the_file_holds_one_line_a_video_in_the_order_of_the_columns(tmp_path: Path):
    frame_index.write(tmp_path / "index.tsv", TABLE)
    frame_index.write_packed(tmp_path / "packed.tsv", TABLE)

    head = "video\tshard\tframes\twidth\theight"
    full = f"{head}\tpromised\tdecoded\tdamaged\tnote"
    extracted = f"{full}\na\ts0\t6\t40\t32\t6\t3\t0\t\nb/c\ts1\t4\t44\t36\t9\t5\t1\tcut short\n"
    assert (tmp_path / "index.tsv").read_text() == extracted
    assert (tmp_path / "packed.tsv").read_text() == f"{head}\na\ts0\t6\t40\t32\nb/c\ts1\t4\t44\t36\n"


def test_what_was_written_comes_back_with_numbers_as_integers(tmp_path: Path):
    frame_index.write(tmp_path / "index.tsv", TABLE)
    frame_index.write_packed(tmp_path / "packed.tsv", TABLE)

    pd.testing.assert_frame_equal(frame_index.read(tmp_path / "index.tsv"), TABLE, check_like=True)
    packed = TABLE.drop(columns=["promised", "decoded", "damaged", "note"])
    pd.testing.assert_frame_equal(frame_index.read_packed(tmp_path / "packed.tsv"), packed, check_like=True)


@pytest.mark.parametrize(("read", "stage"), [(frame_index.read, "extract"), (frame_index.read_packed, "pack")])
def test_a_missing_or_damaged_index_names_the_stage_that_makes_it(
    tmp_path: Path, read: Callable[[Path], pd.DataFrame], stage: str
):
    path = tmp_path / "index.tsv"
    with pytest.raises(UserError, match=f"dvc repro {stage}"):
        read(path)
    write = {"extract": frame_index.write, "pack": frame_index.write_packed}[stage]
    write(path, TABLE.assign(frames=["6", "many"]))
    with pytest.raises(UserError, match=f"index.tsv cannot be read.*dvc repro {stage}"):
        read(path)
    write(path, TABLE)
    path.write_text(path.read_text().replace("width", "breadth"))
    with pytest.raises(UserError, match=f"has the columns.*breadth.*dvc repro --force {stage}"):
        read(path)
