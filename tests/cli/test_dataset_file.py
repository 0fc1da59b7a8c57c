"""What conf/dataset/mine.yaml says of the labels of a corpus."""

from pathlib import Path

import pytest

from pipeline.cli import dataset_file
from pipeline.cli.layout import Layout
from pipeline.core.manifest import DatasetConfig, Manifest, VideoRecord


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (("run", "jump"), "single_label # guessed, as each video has one label;"),
        (("run;jump", "run;?jump"), "multi_label # guessed, as 1 videos have several labels;"),
        (("run;?jump", "jump"), "multi_label # guessed, as 1 videos have labels that are not known;"),
        (("run;?jump", "?jump"), "multi_label # guessed, as 2 videos have labels that are not known;"),
    ],
)
def test_the_task_has_its_reason(labels: tuple[str, str], said: str):
    splits = zip("abcde", ("train", "train", "train", "val", "test"), (*labels, "jump", "run", "run"), strict=True)
    rows = [VideoRecord(name, split, name, text) for name, split, text in splits]
    corpus = Manifest.from_records(rows, ["jump", "run"])
    config = DatasetConfig("folder", "clips", "a.csv", (), 0.0, None, 0.2, 0.2, 0)
    text = dataset_file.text(config, corpus, Layout("folder", Path("a.csv"), "a header"), 128)
    assert f"  task: {said}" in text
