"""Many classes through every stage, by hand: time and memory grow with the classes, and not with their square."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.report.config import ReportConfig
from tests.support import stage_process
from tests.support.stage_process import make, run

pytestmark = pytest.mark.slow


def wide_corpus(folder: Path, video: Path, classes: int, labels: int, judged: int) -> tuple[str, ...]:
    """The settings of a corpus whose videos have so many labels each, each class in train once; val and test alike."""
    folder.mkdir()
    dealt = np.random.default_rng(0).permutation(classes).reshape(-1, labels)
    rows = [("train", own) for own in dealt] + [(split, dealt[n]) for split in ("val", "test") for n in range(judged)]
    lines = []
    for number, (split, own) in enumerate(rows):
        (folder / f"{number}.mp4").write_bytes(video.read_bytes())
        lines.append(f"{number}.mp4,{';'.join(f'class {c:05}' for c in own)},{split}")
    (folder / "labels.csv").write_text("\n".join(["path,labels,split", *lines]) + "\n")
    return f"dataset.root={folder}", f"dataset.annotations={folder}/labels.csv"


@pytest.mark.parametrize(
    ("classes", "labels", "judged", "seconds", "megabytes"),
    [(2_000, 50, 20, 20, 1_000), pytest.param(10_000, 20, 200, 120, 1_500, marks=pytest.mark.nightly)],
)
def test_many_classes_take_bounded_time_and_memory(tmp_path, clips, classes, labels, judged, seconds, megabytes):
    settings = wide_corpus(tmp_path / "wide", clips / "short.mp4", classes, labels, judged)
    folder = make(tmp_path / "project", clips, *settings, "models.tsn_demo.train.epochs=1")
    for stage in stage_process.ORDER:
        ended = run(stage, folder, seconds=800)  # by the wall; what is bounded is processor time
        assert ended.status == 0, ended.said
        print(f"{stage}: {ended.seconds:.1f} s, {ended.peak:.0f} MB")
        assert ended.seconds < seconds, stage
        assert ended.peak < megabytes, stage
    pages = [file for file in (folder / "data/report").rglob("*") if file.is_file()]
    print({file.name: file.stat().st_size for file in pages})
    frames = 1e6 * ReportConfig().strips_megabytes
    assert (folder / "data/report/index.html").stat().st_size < 3e6 + frames
