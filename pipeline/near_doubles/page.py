"""Near-doubles as one HTML file to look at: a pair is two strips of frames, one below the other."""

from pathlib import Path

import pandas as pd

from pipeline.clips.frame_store import FrameStore
from pipeline.core import files
from pipeline.near_doubles.table import torn
from pipeline.report.page import style, templates
from pipeline.report.strips import strip

MOST = 100
"""Pairs that the page shows; the table has all."""
_TEMPLATES = Path(__file__).parent / "template"


def write(file: Path, table: pd.DataFrame, store: FrameStore, looked_at: int, still: int, least: float) -> None:
    """Write the page, all or nothing.

    Args:
        table: the pairs, in the order in which they are shown.
        looked_at: number of videos.
        still: of them, those in which too little moves to tell.
        least: lowest likeness of a pair.
    """
    rows = table.head(MOST).to_dict("records")
    pairs = [
        {"likeness": row["likeness"], "videos": [_video(row, which, store) for which in ("one", "other")]}
        for row in rows
    ]
    page = templates(_TEMPLATES).get_template("near_doubles.html")
    text = page.render(
        pairs=pairs, all=len(table), torn=int(torn(table).sum()), looked_at=looked_at, still=still, least=least,
        style=style(),
    )  # fmt: skip
    files.write_text(file, text)


def _video(row: dict[str, str], which: str, store: FrameStore) -> dict[str, object]:
    name = row[which]
    of_video = {"split": row[f"{which}_split"], "labels": row[f"{which}_labels"]}
    return {"name": name, **of_video, "strip": strip(store, name)}
