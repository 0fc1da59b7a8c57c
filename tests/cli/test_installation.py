"""The checks of `pipeline doctor` that look at the machine, each on a machine that is not as it should be."""

import importlib.util
import shutil
import signal
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import yaml

from pipeline.cli import compose, installation
from pipeline.core.errors import UserError
from tests.support.corpus import FFMPEG

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A project with the committed params.yaml."""
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def machine(folder: Path, **settings: object) -> None:
    whole = yaml.safe_load((folder / "params.yaml").read_text())
    whole["machine"] |= settings
    (folder / "params.yaml").write_text(yaml.safe_dump(whole))


@pytest.mark.parametrize(("version", "state"), [((3, 10, 14), "FAIL"), ((3, 11, 0), "ok"), ((3, 14, 0), "ok")])
def test_python_must_be_3_11_or_newer(monkeypatch, version, state):
    monkeypatch.setattr(sys, "version_info", version)
    assert installation.python().state == state


def test_linux_is_well(monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    assert installation.system().state == "ok"


def test_another_system_that_has_all_calls_is_untested(monkeypatch):
    monkeypatch.setattr(sys, "platform", "freebsd14")
    assert installation.system().state == "warn"


def test_macos_is_told_what_does_not_work(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.delattr(signal, "sigwaitinfo")
    finding = installation.system()
    assert finding.state == "FAIL"
    assert "has no signal.sigwaitinfo, without which loaders (train, infer) do not end" in finding.found
    assert "fork" not in finding.found


def test_windows_is_told_of_all_three(monkeypatch):
    monkeypatch.delattr(signal, "sigwaitinfo")
    monkeypatch.setattr(installation.multiprocessing, "get_all_start_methods", lambda: ["spawn"])
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    finding = installation.system()
    assert finding.state == "FAIL"
    assert all(word in finding.found for word in ("sigwaitinfo", "forked processes", "fcntl"))


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Write the two files, and say what is installed: name -> version."""

    def write(ranges: list[str], pins: list[str], **versions: str) -> None:
        (tmp_path / "pyproject.toml").write_text(f"[project]\nname = 'a'\ndependencies = {ranges}\n")
        (tmp_path / "constraints.txt").write_text("\n".join(["# The pinned set.", *pins, ""]))

        def version(name: str) -> str:
            if name not in versions:
                raise installation.importlib.metadata.PackageNotFoundError(name)
            return versions[name]

        monkeypatch.setattr(installation.importlib.metadata, "version", version)
        monkeypatch.chdir(tmp_path)

    return write


@pytest.mark.parametrize(
    ("version", "state", "said"),
    [
        ("2.15.0", "ok", "1 in the ranges"),
        ("2.15.0+cpu", "ok", "1 in the ranges"),
        ("2.14.1", "warn", "1 differ from constraints.txt: torch==2.15.0 (here: 2.14.1)"),
        ("2.9.1", "FAIL", "torch!=2.9.*,>=2.8 (here: 2.9.1)"),
        ("2.7", "FAIL", "1 of 1 are missing or of a wrong version"),
    ],
)
def test_a_version_is_compared_with_its_range_and_its_pin(installed, version, state, said):
    installed(["torch>=2.8,!=2.9.*"], ["torch==2.15.0"], torch=version)
    finding = installation.packages()
    assert finding.state == state
    assert said in finding.found


def test_a_package_that_is_missing_fails_where_it_is_asked_for_and_not_where_it_is_only_pinned(installed):
    installed(["lmdb>=1.5"], ["lmdb==3.0.0", "triton==3.9.0"], lmdb="3.0.0")
    assert installation.packages().state == "ok"
    installed(["lmdb>=1.5"], ["lmdb==3.0.0"])
    assert "lmdb>=1.5 (here: none)" in installation.packages().found


def settings(folder: Path, *overrides: str) -> None:
    (folder / "params.yaml").write_text(compose.text(ROOT / "conf", list(overrides)))


def test_settings_that_ask_for_no_extra_need_none(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    settings(folder, "model=[tsn_demo,audio_demo]")
    finding = installation.extras()
    assert (finding.state, finding.found) == ("ok", "these settings ask for none")


@pytest.mark.parametrize(
    ("model", "package", "extra"), [("tsn_demo,tsn_flow_demo", "cv2", "flow"), ("videomae_demo", "transformers", "hf")]
)
def test_the_package_of_an_extra_that_a_model_asks_for_must_be_there(folder, monkeypatch, model, package, extra):
    settings(folder, f"model=[{model}]")
    monkeypatch.setitem(sys.modules, package, None)
    finding = installation.extras()
    assert finding.state == "FAIL"
    assert f"'.[{extra}]'" in finding.found


def test_all_extras_that_are_lacking_are_told_at_once(folder, monkeypatch):
    settings(folder, "model=tsn_flow_demo", "machine.engine=ray")
    for package in ("cv2", "ray"):
        monkeypatch.setitem(sys.modules, package, None)
    assert all(f"'.[{extra}]'" in installation.extras().found for extra in ("flow", "ray"))


def test_flow_of_a_folder_needs_the_package_for_new_videos_alone(folder, monkeypatch):
    """Every stage runs; `pipeline predict` does not."""
    settings(folder, "model=tsn_flow_demo", "flow.folder=theirs")
    assert (installation.extras().state, installation.extras().found) == ("ok", "these settings ask for none")
    monkeypatch.setitem(sys.modules, "cv2", None)
    finding = installation.extras()
    assert finding.state == "warn"
    assert finding.found.startswith("predict, serve: new videos have no flow in flow.folder. ")
    assert "'.[flow]'" in finding.found
    settings(folder, "model=tsn_flow_demo", "flow.folder=theirs", "machine.engine=ray")
    monkeypatch.setitem(sys.modules, "ray", None)
    finding = installation.extras()
    assert finding.state == "FAIL"
    assert all(f"'.[{extra}]'" in finding.found for extra in ("flow", "ray"))


def script(folder: Path, version: str, lacking: str = "nothing") -> str:
    """The FFmpeg at hand under another version, and without a filter or protocol."""
    file = folder / f"ffmpeg-{version}"
    says = f"echo 'ffmpeg version {version} Copyright (c) the FFmpeg developers'"
    file.write_text(f"#!/bin/sh\n[ $1 = -version ] && {says} || {FFMPEG} -hide_banner $1 | grep -vw {lacking}\n")
    file.chmod(0o755)
    return str(file)


@pytest.mark.parametrize(
    ("version", "state"),
    [("4.4.2-0ubuntu0.22.04.1", "FAIL"), ("5.0.1", "FAIL"), ("5.1", "ok"), ("n6.1.1", "ok"), ("N-1234-gabc", "ok")],
)
def test_an_ffmpeg_without_the_options_of_the_extraction_fails(folder, version, state):
    machine(folder, ffmpeg=script(folder, version))
    finding = installation.ffmpeg()
    assert finding.state == state
    assert version in finding.found


@pytest.mark.parametrize("lacking", ["zscale", "tonemap", "fd"])
def test_an_ffmpeg_that_was_built_without_what_the_extraction_needs_fails(folder, lacking):
    machine(folder, ffmpeg=script(folder, "8.0", lacking))
    finding = installation.ffmpeg()
    assert finding.state == "FAIL"
    assert finding.found.endswith(f" {lacking}")


def test_an_ffmpeg_that_is_not_there_is_an_error_that_names_the_setting(folder):
    machine(folder, ffmpeg="/no/such/ffmpeg")
    with pytest.raises(UserError, match=r"machine\.ffmpeg"):
        installation.ffmpeg()


@pytest.mark.parametrize(("total", "state"), [(2**26, "warn"), (2**33, "ok")])
def test_a_small_shared_memory_names_the_option_of_docker(monkeypatch, total, state):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(total=total))
    finding = installation.shared_memory()
    assert finding.state == state
    assert ("--shm-size" in finding.remedy) == (state == "warn")


@pytest.mark.parametrize(
    ("pages", "limit", "state", "found"),
    [
        (2**22, "max", "ok", "16.0 GiB"),
        (2**22, None, "ok", "16.0 GiB"),
        (2**22, str(2 * 2**30), "warn", "2.0 GiB"),
        (2**19, str(2**40), "warn", "2.0 GiB"),
    ],
)
def test_memory_is_what_the_machine_has_and_the_container_grants(tmp_path, monkeypatch, pages, limit, state, found):
    monkeypatch.setattr("os.sysconf", {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": pages}.__getitem__)
    monkeypatch.setattr(installation, "MEMORY_LIMIT", tmp_path / "memory.max")
    if limit:
        (tmp_path / "memory.max").write_text(f"{limit}\n")
    finding = installation.memory()
    assert (finding.state, finding.found) == (state, found)


def test_more_threads_than_cores_is_a_warning(folder, monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1, 2})
    machine(folder, threads=3, workers=7)
    assert installation.cores().state == "ok"
    assert installation.cores().found.startswith("3; machine.workers makes 7 processes")
    machine(folder, threads=4)
    assert installation.cores().state == "warn"
    assert "machine.threads: 3" in installation.cores().remedy


@pytest.fixture
def gpus(monkeypatch):
    """Let PyTorch see some GPUs, and NVIDIA's tool tell its driver."""

    def see(count: int, driver: str | None) -> None:
        one = SimpleNamespace(name="H200", total_memory=139 * 2**30)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: one)
        monkeypatch.setattr(installation, "_driver", lambda: driver)

    return see


def test_each_gpu_is_named_with_its_memory_and_the_driver(folder, gpus):
    gpus(2, "580.1")
    finding = installation.gpu()
    assert (finding.state, finding.found) == ("ok", "H200 139.0 GiB, H200 139.0 GiB; driver 580.1")


def test_no_gpu_is_well_unless_one_is_asked_for(folder, gpus):
    gpus(0, None)
    assert installation.gpu().state == "ok"
    machine(folder, accelerator="gpu")
    assert installation.gpu().state == "FAIL"
    assert "machine.accelerator: auto" in installation.gpu().remedy


def test_a_gpu_that_pytorch_does_not_see_fails(folder, gpus):
    gpus(0, "470.82")
    finding = installation.gpu()
    assert finding.state == "FAIL"
    assert "does not see the GPU of driver 470.82" in finding.found


@pytest.mark.parametrize(
    ("program", "driver"),
    [("echo 580.1; echo 580.1", "580.1"), ("echo 'no driver'; exit 9", None), ("exit 0", None), (None, None)],
)
def test_the_driver_is_what_nvidia_says(tmp_path, monkeypatch, program, driver):
    if program:
        (tmp_path / "nvidia-smi").write_text(f"#!/bin/sh\n{program}\n")
        (tmp_path / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert installation._driver() == driver
