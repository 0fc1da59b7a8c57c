"""The machine section: FFmpeg is found before work starts, and a pool keeps order, bounds and errors."""

import dataclasses
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import pytest
import yaml

from pipeline.core import params
from pipeline.core.errors import UserError
from pipeline.core.machine import Machine, ffmpeg_version, load_machine, parallel, scratch_folder
from pipeline.runtime.chunk_cache import CHUNK
from tests.support import tiny


def settings(**changed: Any) -> dict[str, Any]:
    return dataclasses.asdict(tiny.machine(Path("work"), workers=2)) | changed


def build(**changed: Any) -> Machine:
    return params.build(Machine, settings(**changed), where="machine")


def test_no_number_of_workers_means_one_a_core(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(13)))

    assert build(workers=0).processes == 13
    assert build(workers=3).processes == 3


def test_cores_are_counted_where_the_system_knows_no_affinity(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delattr("os.sched_getaffinity")
    monkeypatch.setattr("os.cpu_count", lambda: 7)

    assert build(workers=0).processes == 7


@pytest.mark.parametrize(
    "wrong",
    [
        {"workers": -1},
        {"threads": 0},
        {"save_seconds": -1},
        {"accelerator": "tpu"},
        {"devices": -1},
        {"clips_per_device": 0},
        {"views_per_pass": 0},
        {"videos_per_pass": 0},
        {"videos_per_pass": CHUNK + 1},  # more than share a chunk
        {"precision": "int8"},
    ],
)
def test_settings_that_no_machine_has_are_refused(wrong: dict[str, Any]):
    with pytest.raises(UserError, match="machine"):
        build(**wrong)


def test_the_section_is_read_from_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "params.yaml").write_text(yaml.safe_dump({"machine": settings(workers=5)}))
    monkeypatch.chdir(tmp_path)

    assert load_machine().workers == 5


def test_the_pinned_ffmpeg_is_taken_unless_another_is_named(tmp_path: Path):
    other = tmp_path / "another"
    other.symlink_to(imageio_ffmpeg.get_ffmpeg_exe())

    assert build().ffmpeg_path() == imageio_ffmpeg.get_ffmpeg_exe()
    assert build(ffmpeg=str(other)).ffmpeg_path() == str(other)


def test_a_relative_path_of_ffmpeg_works_from_every_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "ffmpeg").symlink_to(imageio_ffmpeg.get_ffmpeg_exe())
    monkeypatch.chdir(tmp_path)

    binary = build(ffmpeg="tools/ffmpeg").ffmpeg_path()
    subprocess.run([binary, "-version"], cwd=tmp_path / "tools", check=True, capture_output=True)


@pytest.mark.parametrize("binary", ["/nowhere/ffmpeg", "no-such-program", "/", "/bin/false"])
def test_an_ffmpeg_that_does_not_run_is_refused_with_the_remedy(binary: str):
    with pytest.raises(UserError, match=r"FFmpeg does not run .*make install.*machine\.ffmpeg"):
        build(ffmpeg=binary).ffmpeg_path()


def test_a_missing_pinned_ffmpeg_is_refused_with_the_remedy(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", "/nowhere/ffmpeg")

    with pytest.raises(UserError, match="make install"):
        build().ffmpeg_path()


def test_without_the_package_that_brings_ffmpeg_the_remedy_is_the_same(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)  # as if it were not installed

    with pytest.raises(UserError, match="imageio_ffmpeg.*make install"):
        build().ffmpeg_path()


def test_the_version_is_what_ffmpeg_calls_itself():
    binary = imageio_ffmpeg.get_ffmpeg_exe()
    said = subprocess.run([binary, "-version"], capture_output=True, text=True, check=True).stdout

    version = ffmpeg_version(binary)
    assert said.startswith(f"ffmpeg version {version} Copyright")
    assert " " not in version


def test_results_come_in_the_order_of_the_items_however_long_each_takes():
    def late_if_early(item: int) -> int:
        time.sleep(0.02 * (5 - item))
        return item * item

    assert list(parallel(late_if_early, range(6), workers=3)) == [0, 1, 4, 9, 16, 25]


def test_as_many_items_as_workers_are_under_way_and_no_more():
    lock, together, running, most = threading.Lock(), threading.Barrier(3, timeout=10), 0, 0

    def count(item: int) -> int:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        together.wait()  # passes only when three are here at once
        with lock:
            running -= 1
        return item

    assert list(parallel(count, range(9), workers=3)) == list(range(9))
    assert most == 3


def test_a_slow_consumer_holds_the_workers_back():
    taken = []

    def items() -> Iterator[int]:
        for item in range(100):
            taken.append(item)
            yield item

    results = parallel(lambda item: item, items(), workers=2)
    assert next(results) == 0
    assert len(taken) == 4  # two items a worker
    results.close()


def test_an_error_comes_in_its_turn_and_ends_the_work():
    done = []

    def fail_on_two(item: int) -> int:
        if item == 2:
            raise OSError("two")
        done.append(item)
        return item

    results = parallel(fail_on_two, range(100), workers=1)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(OSError, match="two"):
        next(results)
    assert max(done) <= 4


def test_nothing_to_do_gives_nothing():
    assert list(parallel(str, [], workers=2)) == []


def test_a_scratch_folder_is_made_and_kept(tmp_path: Path):
    machine = build(scratch=str(tmp_path / "deep" / "work"))

    folder = scratch_folder(machine, "extract")
    (folder / "piece").touch()
    assert scratch_folder(machine, "extract") == folder == tmp_path / "deep" / "work" / "extract"
    assert (folder / "piece").exists()
