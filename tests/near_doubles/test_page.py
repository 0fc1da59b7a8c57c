import pandas as pd
import pytest

from pipeline.near_doubles import page
from pipeline.near_doubles.table import COLUMNS
from tests.support.moving import clip, jpegs

ROWS = [
    ("0.990", "a<b>.mp4", "train", "run", "c.mp4", "test", "jump"),
    ("0.900", "a<b>.mp4", "train", "run", "d.mp4", "train", "run"),
]


@pytest.fixture
def written(packed, tmp_path):
    store = packed({name: jpegs(clip(n, 12)) for n, name in enumerate(["a<b>.mp4", "c.mp4", "d.mp4"])})

    def write(rows) -> str:
        table = pd.DataFrame(rows, columns=list(COLUMNS))
        page.write(tmp_path / "page.html", table, store, looked_at=30, still=2, least=0.8)
        return (tmp_path / "page.html").read_text()

    return write


def test_a_pair_is_two_strips_with_splits_and_labels(written):
    text = written(ROWS)
    assert "2 pairs look alike, 1 across splits" in text
    assert text.count("<article") == 2
    assert text.count('<img src="data:image/jpeg;base64,') == 4
    assert text.count("labels differ") == 1
    assert text.count("chip strong") == 2, "both splits of the pair that they tear apart"
    assert "In 2 videos too little moves to tell." in text
    assert "a&lt;b&gt;.mp4" in text
    assert "a<b>" not in text
    assert text.index("0.990") < text.index("0.900")


def test_a_long_list_is_cut_and_says_so(written, monkeypatch):
    monkeypatch.setattr(page, "MOST", 1)
    text = written(ROWS)
    assert text.count("<article") == 1
    assert "The first 1 pairs; data/near_doubles.tsv has all." in text


def test_no_pair_is_said(written):
    assert "None." in written([])
