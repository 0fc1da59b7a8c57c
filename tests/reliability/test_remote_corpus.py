"""A corpus in an S3 server: the bytes of the corpus on disk, whatever the network, a kill or another video do."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.core import files
from tests.support import hindrances, project, s3_server, stage_process
from tests.support.s3_server import KEYS, URL, Reach, Server
from tests.support.stage_process import Ended, Running, contents, outs

pytestmark = pytest.mark.slow
STAGES = ("check", "index", "check_corpus", "extract", "pack")


@pytest.fixture
def server(clips: Path) -> Iterator[Server]:
    with s3_server.serving(clips) as server:
        yield server


@pytest.fixture
def remote(server: Server, without, clips: Path) -> Path:
    """The finished project before `check`, with its videos in the server, and an empty scratch folder."""
    return without("check", f"dataset.root={URL}")


def run(stage: str, folder: Path, server: Server) -> Ended:
    return stage_process.run(stage, folder, first=server.reach)


def same(stage: str, folder: Path, finished: Path) -> bool:
    return all(contents(folder / out) == contents(finished / out) for out in outs(stage))


def test_each_stage_writes_the_bytes_of_a_corpus_on_disk_and_no_key_anywhere(server, remote, finished):
    for stage in STAGES:
        ended = run(stage, remote, server)
        assert ended.status == 0, ended.said
        assert same(stage, remote, finished), stage
    every = b"".join(contents(remote).values())
    assert URL.encode() in every
    assert not [name for name, key in KEYS.items() if key.encode() in every]


def test_a_kill_in_the_middle_and_a_server_that_is_gone_leave_no_half_of_a_video(server, remote, finished):
    for stage in STAGES[:3]:
        assert run(stage, remote, server).status == 0
    killed = Running("extract", remote, first=Slow(server.variables))
    scratch = remote / "work" / "extract"
    killed.until(lambda: list(scratch.glob("*.json")) and list(scratch.rglob("*.video")))
    killed.kill()
    assert killed.wait().status == -9
    assert list(scratch.rglob("*.video"))

    kept = {file.name for file in scratch.glob("*.json")}
    away = Reach({**server.variables, "AWS_ENDPOINT_URL": "http://127.0.0.1:9"})
    ended = stage_process.run("extract", remote, first=away)
    assert ended.status == 1
    assert "Traceback" not in ended.said
    assert not any((remote / out).exists() for out in outs("extract"))

    ended = run("extract", remote, server)
    assert f"{3 - len(kept)} of 3 shards are to be made" in ended.said
    assert same("extract", remote, finished)
    assert not list(scratch.rglob("*.video"))


class Slow(Reach):
    """Extraction takes its time besides."""

    def __call__(self) -> None:
        super().__call__()
        hindrances.slow_frames()


def test_a_replaced_video_is_noticed_and_a_vanished_one_is_missing(server, remote, clips, tmp_path):
    for stage in STAGES[:2]:
        assert run(stage, remote, server).status == 0
    shutil.copytree(clips, tmp_path / "videos")
    shutil.copyfile(clips / "short.mp4", tmp_path / "videos" / "h264.mp4")
    (tmp_path / "videos" / "vp9.webm").unlink()
    server.files().pipe_file(f"{URL}/h264.mp4", (clips / "short.mp4").read_bytes())
    server.files().rm_file(f"{URL}/vp9.webm")
    again = run("index", remote, server)
    assert "1 of 13 files are missing in s3://corpus/some/videos, or cannot be read" in again.said

    local = stage_process.make(tmp_path / "local", tmp_path / "videos")
    assert stage_process.run("index", local).status == 0
    assert contents(remote / "data/manifest.tsv") == contents(local / "data/manifest.tsv")


@pytest.mark.nightly
def test_dvc_makes_the_same_of_a_corpus_in_a_server_and_on_disk(server, clips, tmp_path, monkeypatch):
    for name, value in server.variables.items():
        monkeypatch.setenv(name, value)
    for name, root in (("disk", str(clips)), ("server", URL)):
        folder = project.copy(tmp_path / name)
        project.write_params(folder, *stage_process.settings(clips), f"dataset.root={root}")
        said = project.dvc(folder, "repro", "pack").stdout
        assert "Running stage 'pack'" in said
        said = project.dvc(folder, "repro", "pack").stdout
        assert "Running stage 'extract'" not in said
    for out in ("manifest.tsv", "broken.tsv", "frames", "lmdb"):
        assert contents(tmp_path / "server/data" / out) == contents(tmp_path / "disk/data" / out)
    assert files.file_hash(tmp_path / "server/data/manifest.tsv")
