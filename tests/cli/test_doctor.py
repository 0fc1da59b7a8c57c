"""What `pipeline doctor` makes of its checks; test_installation.py and test_workspace.py have the checks themselves."""

import pytest

from pipeline.cli import doctor, installation, workspace
from pipeline.cli.finding import fail, ok, size, warn
from pipeline.core.errors import UserError
from tests.support.command import call


def well():
    return ok("all of it")


def odd():
    return warn("a bit", "Look at it.")


def bad():
    return fail("none of it", "Mend it.")


def missing():
    raise UserError("params.yaml does not exist.")


def broken():
    raise ModuleNotFoundError("No module named 'torch'")


@pytest.fixture
def checks(monkeypatch):
    def use(*some) -> None:
        monkeypatch.setattr(installation, "CHECKS", some[:1])
        monkeypatch.setattr(workspace, "CHECKS", some[1:])

    return use


def test_every_check_has_its_line_and_what_to_do(checks, capsys):
    checks(odd, bad, well)
    assert call("doctor") == 1
    assert capsys.readouterr().out.splitlines() == [
        "warn  odd           a bit",
        "                    -> Look at it.",
        "FAIL  bad           none of it",
        "                    -> Mend it.",
        "ok    well          all of it",
    ]


@pytest.mark.parametrize(
    ("check", "said"),
    [(missing, "params.yaml does not exist."), (broken, "ModuleNotFoundError: No module named 'torch'")],
)
def test_a_check_that_breaks_fails_and_the_next_one_runs(checks, capsys, check, said):
    checks(check, well)
    assert call("doctor") == 1
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("FAIL")
    assert first.endswith(said)
    assert second.startswith("ok")


def test_warnings_alone_are_no_failure(checks):
    checks(odd, well)
    assert call("doctor") == 0


def test_no_check_is_left_out():
    for module in (installation, workspace):
        public = {name for name, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__}
        assert {name for name in public if not name.startswith("_")} == {check.__name__ for check in module.CHECKS}


def test_a_line_begins_with_the_state():
    assert doctor.line("disk", ok("room")) == "ok    disk          room"


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0.0 bytes"), (1023, "1,023.0 bytes"), (1024, "1.0 KiB"), (3 * 2**29, "1.5 GiB"), (2**51, "2,048.0 TiB")],
)
def test_a_size_in_words(count, words):
    assert size(count) == words


def test_outside_a_clone_there_is_one_line_and_no_check(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=f"^{tmp_path} is no clone of the project: it has no dvc.yaml.*$"):
        call("doctor")
