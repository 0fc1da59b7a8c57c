"""A finished run of as many videos as wanted, without frames: manifest, ledger, answers of members and ensemble."""

from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.core import checksums
from pipeline.core.broken_videos import BrokenVideo, write_broken
from pipeline.core.manifest import Manifest
from pipeline.predictions.table import SPLITS, PredictionTable

ONE_BROKEN_OF = 50
"""Every so many videos one is broken."""


def write(data: Path, videos: int = 100_000, classes: int = 50, members: int = 3) -> None:
    """Write the outs: half of the videos are train, a quarter val and a quarter test, in turns."""
    rng = np.random.default_rng(0)
    names = tuple(f"class {number:03d}" for number in range(classes))
    more, several = rng.integers(classes, size=videos), rng.random(videos) < 0.3
    rows = np.arange(videos)
    table = pd.DataFrame(
        {
            "video": [f"part{row // 1000:04d}/Clip_{row:07d}.mp4" for row in rows],
            "split": np.array(["train", "val", "train", "test"])[rows % 4],
            "path": [f"part{row // 1000:04d}/Clip_{row:07d}.mp4" for row in rows],
            "labels": [
                ";".join(names[number] for number in {row // 4 % classes, *([more[row]] if several[row] else [])})
                for row in rows.tolist()
            ],
            "fingerprint": "1-x",
        }
    )
    manifest = Manifest(table, names)
    manifest.write(data / "manifest.tsv", data / "classes.txt")
    lost = table.iloc[ONE_BROKEN_OF - 1 :: ONE_BROKEN_OF]
    write_broken(
        data / "broken.tsv",
        (
            BrokenVideo(r.video, r.split, r.path, ("truncated", "empty")[r.Index // ONE_BROKEN_OF % 2], "cut")
            for r in lost.itertuples()
        ),
    )
    for split in SPLITS:
        _write_answers(data, manifest.split(split), split, set(lost["video"]), members)
    for folder in (data / "ensemble", *(data / "predictions").iterdir()):
        checksums.seal(folder)


def _write_answers(data: Path, part: Manifest, split: str, lost: set[str], members: int) -> None:
    """Write what members say that agree in part with the labels and with one another, and the mean of them."""
    broken, rng = np.array([video in lost for video in part.videos]), np.random.default_rng(len(split))
    shared = rng.normal(size=part.targets().shape) + 2.5 * part.targets() - 3
    scores = [1 / (1 + np.exp(-(shared + rng.normal(size=shared.shape)))) for _ in range(members)]
    answers = {f"predictions/m{number}": one for number, one in enumerate(scores)} | {
        "ensemble": np.mean(scores, axis=0)
    }
    for place, one in answers.items():
        (data / place).mkdir(parents=True, exist_ok=True)
        one[broken] = 0.25
        labels = tuple(part.table["labels"])
        PredictionTable(tuple(part.videos), broken, labels, part.classes, one.astype(np.float32), {}).write(
            data / place / f"{split}.parquet"
        )
