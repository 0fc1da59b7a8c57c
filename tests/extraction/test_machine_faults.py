"""What is the machine's fault is tried again, and then an error, never a video's; limits end what takes too much.

An FFmpeg that behaves badly is a shell script here, which calls the real one in the end.
"""

import errno
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.errors import UserError
from pipeline.extraction import child, tries
from pipeline.extraction.config import ExtractConfig
from pipeline.extraction.ffmpeg import extract_frames
from pipeline.extraction.outcome import Extracted, NoFrames
from tests.support.corpus import FFMPEG

Script = Callable[[str], Path]
DECODING = 'case "$*" in *image2*)'
"""Begins a branch of a script for the run that writes frames, not for the look before it."""


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tries, "WAITS", (0.0, 0.0))


@pytest.fixture
def script(tmp_path: Path) -> Script:
    """An FFmpeg that does this first; `$calls` is a file that it may count in."""

    def write(lines: str) -> Path:
        path = tmp_path / "ffmpeg"
        path.write_text(f'#!/bin/sh\ncalls={tmp_path}/calls\n{lines}\nexec {FFMPEG} "$@"\n')
        path.chmod(0o755)
        return path

    return write


def extract(video: Path, tmp_path: Path, binary: Path, **changed: Any) -> Extracted:
    settings = dict(fps=30, short_side=64, jpeg_qscale=2, timeout_seconds=60, shards=1)
    (tmp_path / "frames").mkdir()
    return extract_frames(video, tmp_path / "frames", ExtractConfig(**(settings | changed)), str(binary))


@pytest.fixture
def as_in_a_terminal() -> Iterator[None]:
    """What `nohup` and a shell's `&` have ignored, processes ignore from their start: these signals are heard here."""
    heard = {signal.SIGHUP: signal.SIG_DFL, signal.SIGINT: signal.default_int_handler}
    before = {number: signal.signal(number, handler) for number, handler in heard.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("as_in_a_terminal")
@pytest.mark.parametrize("name", ["TERM", "INT", "KILL", "HUP"])
@pytest.mark.parametrize("run", [DECODING, 'case "$*" in *)'])
def test_an_ffmpeg_that_is_told_to_end_is_tried_again(clips: Path, tmp_path: Path, script: Script, name: str, run: str):
    binary = script(f"{run} [ -e $calls ] || {{ touch $calls; printf x > 000099.jpg; kill -{name} $$; }};; esac")

    result = extract(clips / "short.mp4", tmp_path, binary)
    assert (result.frames, result.damaged, result.words) == (3, 0, "")
    assert len(list((tmp_path / "frames").iterdir())) == 3


def test_an_ffmpeg_that_ends_in_good_order_is_tried_again(clips: Path, tmp_path: Path, script: Script):
    """As a scheduler's SIGTERM makes it: FFmpeg exits with code 255, and the frames so far lie there."""
    ended = f"{FFMPEG} -v quiet -re -f lavfi -i testsrc2=s=9x9 -f image2 %06d.jpg & sleep 1; kill $!; wait $!; exit $?"
    binary = script(f"{DECODING} [ -e $calls ] || {{ touch $calls; {ended}; }};; esac")

    assert extract(clips / "short.mp4", tmp_path, binary).frames == 3
    assert len(list((tmp_path / "frames").iterdir())) == 3


@pytest.mark.parametrize("end", ["kill -TERM $$", "exit 255", "exit 244", "exit 245", "exit 127"])
def test_a_machine_that_stays_bad_is_an_error_and_no_verdict(clips: Path, tmp_path: Path, script: Script, end: str):
    with pytest.raises(UserError, match=r"short.mp4: FFmpeg .* 3 times. That is no fault of the video.*dvc repro"):
        extract(clips / "short.mp4", tmp_path, script(end))


def test_a_lack_of_memory_for_a_moment_is_tried_again(clips: Path, tmp_path: Path, script: Script):
    ended = 'echo "[h264 @ 0x5581] [error] Cannot allocate memory" >&2; printf x > 000000.jpg; exit 0'
    binary = script(f"{DECODING} [ -e $calls ] || {{ touch $calls; {ended}; }};; esac")

    assert extract(clips / "short.mp4", tmp_path, binary).frames == 3


def test_a_file_that_always_lacks_memory_stops_nothing(clips: Path, tmp_path: Path, script: Script):
    binary = script(f'{DECODING} echo "[h264 @ 0x5581] [error] Cannot allocate memory" >&2; exit 1;; esac')

    with pytest.raises(NoFrames, match="for this file alone, FFmpeg lacks memory") as error:
        extract(clips / "short.mp4", tmp_path, binary)
    assert (error.value.reason, error.value.again) == ("too_large", True)


def test_an_ffmpeg_that_cannot_be_started_for_a_moment_is_tried_again(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    real, calls = child.subprocess.Popen, []

    def fails_once(*arguments: Any, **options: Any) -> Any:
        calls.append(1)
        if len(calls) == 1:
            raise BlockingIOError(11, os.strerror(11))
        return real(*arguments, **options)

    monkeypatch.setattr(child.subprocess, "Popen", fails_once)
    assert extract(clips / "short.mp4", tmp_path, Path(FFMPEG)).frames == 3
    assert len(calls) == 2


def test_too_few_open_files_are_an_error_that_names_their_limit(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def fails(*arguments: Any, **options: Any) -> Any:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(child.subprocess, "Popen", fails)
    with pytest.raises(UserError, match=r"short.mp4: FFmpeg .* Too many files are open .*`ulimit -n 4096`"):
        extract(clips / "short.mp4", tmp_path, Path(FFMPEG))


@pytest.mark.parametrize("before", ["", "printf x > 000000.jpg; "])
@pytest.mark.parametrize("run", [DECODING, 'case "$*" in *)'])
def test_an_ffmpeg_that_crashes_is_said_to_have_crashed(
    clips: Path, tmp_path: Path, script: Script, before: str, run: str
):
    with pytest.raises(NoFrames, match="FFmpeg was ended by signal 11") as error:
        extract(clips / "short.mp4", tmp_path, script(f"{run} {before} kill -SEGV $$;; esac"))
    assert (error.value.reason, error.value.again) == ("crashed", True)


def test_an_ffmpeg_that_gives_up_in_the_middle_gives_no_frames(clips: Path, tmp_path: Path, script: Script):
    binary = script(f'{DECODING} {FFMPEG} -t 0.8 "$@"; exit 1;; esac')

    with pytest.raises(NoFrames, match=r"FFmpeg gave up after 24 frames \(exit code 1\)") as error:
        extract(clips / "h264.mp4", tmp_path, binary)
    assert (error.value.reason, error.value.again) == ("crashed", True)


def test_an_ffmpeg_that_takes_too_long_is_given_up(clips: Path, tmp_path: Path, script: Script):
    binary = script(f"{DECODING} while :; do :; done;; esac")

    with pytest.raises(NoFrames, match=r"no end after 0.5 s of CPU time \(extract.timeout_seconds\)") as error:
        extract(clips / "short.mp4", tmp_path, binary, timeout_seconds=0.2, timeout_factor=3)  # 0.1 s long
    assert (error.value.reason, error.value.again) == ("timeout", True)


def test_time_that_ffmpeg_waits_for_the_processor_does_not_count(clips: Path, tmp_path: Path, script: Script):
    binary = script(f"{DECODING} sleep 1.5;; esac")

    assert extract(clips / "short.mp4", tmp_path, binary, timeout_seconds=1, timeout_factor=0).frames == 3


def test_an_ffmpeg_without_progress_is_the_machines_fault(
    clips: Path, tmp_path: Path, script: Script, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(child, "STALL_SECONDS", 0.4)
    with pytest.raises(UserError, match="no progress"):
        extract(clips / "short.mp4", tmp_path, script("exec sleep 60"))


@pytest.mark.parametrize(
    ("greed", "setting"),
    [
        ("exec python3 -c 'x = bytearray(300_000_000); import time; time.sleep(60)'", "most_memory"),
        ("exec head -c 300000000 /dev/zero > 000000.jpg", "most_megabytes"),
    ],
)
def test_an_ffmpeg_that_takes_too_much_is_ended(clips: Path, tmp_path: Path, script: Script, greed: str, setting: str):
    with pytest.raises(NoFrames, match=f"more than 150 MB of .*extract.{setting}") as error:
        extract(clips / "short.mp4", tmp_path, script(f"{DECODING} {greed};; esac"), **{setting: 150})
    assert error.value.reason == "too_large"


@pytest.mark.parametrize(
    ("greed", "limit", "reason"),
    [
        ("while :; do :; done", {"timeout_seconds": 0.2}, "timeout"),
        (
            "exec python3 -c 'x = bytearray(300_000_000); import time; time.sleep(60)'",
            {"most_memory": 150},
            "too_large",
        ),
    ],
)
def test_a_limit_exceeded_while_probing_is_that_limits_reason(
    clips: Path, tmp_path: Path, script: Script, greed: str, limit: dict[str, float], reason: str
):
    with pytest.raises(NoFrames, match="took too much .* as it looked at the file") as error:
        extract(clips / "short.mp4", tmp_path, script(greed), **limit)
    assert (error.value.reason, error.value.again) == (reason, True)
