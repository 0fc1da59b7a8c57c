"""The door: what it lists, how it ends, and that it opens at once."""

import ast
import os
import subprocess
import sys
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from pipeline.cli import main as door
from pipeline.cli.main import COMMANDS, main
from pipeline.core.errors import UserError

ROOT = Path(__file__).parents[2]
SCORES = ("show", "compare", "protocol", "import")
CALLS = [*((name,) for name in COMMANDS), *(("scores", name) for name in SCORES)]
HEAVY = {"torch", "torchvision", "timm", "lightning_fabric", "numpy", "pandas", "pyarrow", "dvc", "dvclive", "hydra"}


class Answer:
    """A command that ends in one way."""

    def __init__(self, status: int | None = None, error: BaseException | None = None) -> None:
        self.status, self.error = status, error

    def add_arguments(self, parser) -> None:
        pass

    def run(self, args) -> int | None:
        if self.error:
            raise self.error
        return self.status


def test_every_file_that_is_a_command_is_in_the_table_under_its_name():
    files = {f.stem: ast.parse(f.read_text(encoding="utf-8")).body for f in (ROOT / "pipeline" / "cli").glob("*.py")}
    defined = {name: {node.name for node in body if isinstance(node, ast.FunctionDef)} for name, body in files.items()}
    assert {name for name, functions in defined.items() if {"add_arguments", "run"} <= functions} == set(COMMANDS)


def test_help_lists_every_command_with_one_line(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    lines = capsys.readouterr().out.splitlines()
    for name, command in COMMANDS.items():
        (line,) = (line for line in lines if line.split()[:1] == [name])
        assert line.split(maxsplit=1)[1] == command.__doc__.splitlines()[0]
        assert len(line) <= 80


@pytest.mark.parametrize("call", CALLS, ids=" ".join)
def test_every_command_has_a_help(call, capsys):
    with pytest.raises(SystemExit, match="0"):
        main([*call, "--help"])
    assert capsys.readouterr().out.startswith(f"usage: pipeline {' '.join(call)} ")


def test_help_and_wrong_calls_import_nothing_heavy():
    """Counted in a fresh process: what takes seconds is what is imported, on any machine."""
    script = f"""
import sys
from pipeline.cli.main import main
for call in {[*((*call, "--help") for call in CALLS), ("predct",), ("predict", "a.mp4"), ()]!r}:
    try:
        main(call)
    except SystemExit as ended:
        assert ended.code == (0 if "--help" in call else 2), call
print("heavy:", *sorted({HEAVY!r} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "heavy:"


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (("predct",), "Did you mean 'predict'?"),
        (("scores", "shwo"), "Did you mean 'show'?"),
        (("scores", "import", "a.csv", "--as", "a", "--values", "logit"), "Did you mean 'logits'?"),
        (("xyz",), f"There are: {', '.join(COMMANDS)}."),
        ((), "required: COMMAND\n`pipeline --help` says"),
        (("predict", "a.mp4"), "one of the arguments --model --onnx is required\n`pipeline predict --help` says"),
        (("predict", "a.mp4", "--model", "net", "--top", "0"), "argument --top: '0' is no whole number of at least 1"),
        (("zoo", "--fast"), "unrecognized arguments: --fast"),
    ],
)
def test_a_wrong_call_ends_with_2_and_names_the_way_out(call, said, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(call)
    told = capsys.readouterr().err
    assert said in told
    assert "\nerror: " in told


@pytest.mark.parametrize(
    ("command", "status"),
    [
        (Answer(), 0),
        (Answer(status=3), 3),
        (Answer(error=UserError("no")), 1),
        (Answer(error=KeyboardInterrupt()), 130),
    ],
)
def test_the_exit_status(monkeypatch, capsys, command, status):
    monkeypatch.setitem(door.COMMANDS, "zoo", command)
    assert main(["zoo"]) == status
    assert capsys.readouterr().err == ("error: no\n" if status == 1 else "")


def test_what_the_machine_refuses_is_a_message(monkeypatch, capsys):
    monkeypatch.setitem(door.COMMANDS, "zoo", Answer(error=OSError(28, "No space left on device", "data/x")))
    assert main(["zoo"]) == 1
    assert "error: The disk is full ([Errno 28] No space left on device: 'data/x')" in capsys.readouterr().err


def test_a_bug_keeps_its_traceback(monkeypatch):
    monkeypatch.setitem(door.COMMANDS, "zoo", Answer(error=RuntimeError("a bug")))
    with pytest.raises(RuntimeError, match="a bug"):
        main(["zoo"])


def test_the_console_script_is_this_door():
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert EntryPoint("pipeline", scripts["pipeline"], "console_scripts").load() is main


@pytest.mark.slow
@pytest.mark.parametrize(
    ("typed", "offered"),
    [("pipeline pre", {"predict"}), ("pipeline scores ", {*SCORES}), ("pipeline predict --j", {"--json"})],
)
def test_the_tab_key_completes_commands_and_options(tmp_path, typed, offered):
    shell = {"_ARGCOMPLETE": "1", "_ARGCOMPLETE_SUPPRESS_SPACE": "1", "COMP_LINE": typed, "COMP_POINT": str(len(typed))}
    answer = tmp_path / "answer"
    environment = {**os.environ, **shell, "_ARGCOMPLETE_STDOUT_FILENAME": str(answer), "_ARGCOMPLETE_IFS": "\n"}
    subprocess.run([sys.executable, "-m", "pipeline"], cwd=ROOT, env=environment, check=True)
    assert {word for word in answer.read_text().split("\n") if not word.startswith("-h")} - {"--help"} == offered
