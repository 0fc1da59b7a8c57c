"""A folder of clips as people have it, inside the project: `dvc repro extract` ends, whatever lies in it."""

import json
import os
from pathlib import Path

import pandas as pd
import pytest

from pipeline.core import fingerprints
from pipeline.core.broken_videos import read_broken
from tests.support import corpus, hostile, project

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

SMALL = (
    "dataset=folder",
    "dataset.format=class_folders",
    "dataset.root=clips",
    "dataset.annotations=${dataset.root}",
    "model=tsn_demo",
    "models.tsn_demo.train.batch=2",
    "ensemble.folds=2",
    "extract.short_side=32",
    "extract.shards=2",
)
SOUND = 12


@pytest.fixture(scope="module")
def root(tmp_path_factory, clips) -> Path:
    """A project with a corpus of two classes, each in a folder with all that is hostile."""
    root = project.copy(tmp_path_factory.mktemp("corpus") / "project")
    for label in ("run", "jump"):
        hostile.make(root / "clips" / label)
        for n in range(SOUND // 2):
            corpus.take(clips / "short.mp4", root / "clips" / label / f"{n}.mp4")
    (root / "clips" / "run" / "up").symlink_to("../..")
    project.write_params(root, *SMALL)
    project.dvc(root, "repro", "extract")
    return root


def manifest(root: Path) -> pd.DataFrame:
    return pd.read_csv(root / "data/manifest.tsv", sep="\t").set_index("video")


def test_every_file_is_in_the_index_or_in_the_ledger_with_its_reason(root):
    ledger = {row.video: (row.reason, row.words) for row in read_broken(root / "data/broken.tsv")}
    hostiles = {**hostile.FILES}
    reason, words = hostile.ABSENT
    hostiles |= {name: (reason, words.format(name) + ": rename the file") for name in hostile.NAMES.values()}
    assert ledger == {f"{label}/{name}": said for label in ("run", "jump") for name, said in hostiles.items()}
    index = pd.read_csv(root / "data/frames/index.tsv", sep="\t")
    assert sorted(index["video"]) == sorted(f"{label}/{n}.mp4" for label in ("run", "jump") for n in range(SOUND // 2))
    assert sorted([*index["video"], *ledger]) == sorted(manifest(root).index)


def test_nothing_is_made_anew_where_nothing_changed(root):
    before = (root / "dvc.lock").read_bytes()
    assert project.ran(project.dvc(root, "repro", "extract")) == ["index"]
    assert (root / "dvc.lock").read_bytes() == before
    assert json.loads(project.dvc(root, "status", "--json", "extract", "check_corpus").stdout) == {}


def test_a_replaced_video_is_noticed_though_its_name_size_and_time_are_kept(root):
    """As `cp -p` of another video over it leaves them."""
    video, before = root / "clips/run/0.mp4", manifest(root)
    status, content = video.stat(), bytearray(video.read_bytes())
    content[-1] ^= 1
    video.write_bytes(content)
    os.utime(video, ns=(status.st_atime_ns, status.st_mtime_ns))

    assert project.ran(project.dvc(root, "repro", "extract")) == ["index", "check_corpus", "extract"]
    now = manifest(root)
    assert (now != before).sum().to_dict() == {"split": 0, "path": 0, "labels": 0, "fingerprint": 1}
    assert now.at["run/0.mp4", "fingerprint"] == fingerprints.of_file(video)


def test_a_video_that_becomes_sound_is_noticed(root):
    (root / "clips/run/nowhere.mp4").write_bytes((root / "clips/run/1.mp4").read_bytes())
    assert project.ran(project.dvc(root, "repro", "extract")) == ["index", "check_corpus", "extract"]
    assert "run/gone.mp4" not in {row.video for row in read_broken(root / "data/broken.tsv")}
