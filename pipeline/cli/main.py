"""The door: parse the command line, run the command, turn what the user can mend into one message."""

import argparse
import difflib
import inspect
import logging
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any, NoReturn, Protocol

import argcomplete

from pipeline.cli import (
    check,
    checkpoint,
    compare,
    doctor,
    doubles,
    export,
    fiftyone,
    init,
    params,
    plan,
    predict,
    scores,
    serve,
    submission,
    ui,
    watch,
    zoo,
)
from pipeline.core import faults
from pipeline.core.errors import UserError

DESCRIPTION = "Video files in, an ensemble of action recognisers out: the commands beside `dvc repro`."
EPILOG = """\
`pipeline COMMAND --help` says more of each. Completion of commands and options with the tab key:

    eval "$(register-python-argcomplete pipeline)"                    in ~/.bashrc or ~/.zshrc
    register-python-argcomplete --shell fish pipeline | source        in fish's config

Exit status: 0 all is well, 1 an error that the message explains, 2 a wrong call. A command may add its own."""


class Command(Protocol):
    """What a file of this package offers, if it is a command."""

    def add_arguments(self, parser: argparse.ArgumentParser, /) -> None:
        """Describe the arguments."""

    def run(self, args: argparse.Namespace, /) -> int | None:
        """Do it; the exit status, or None for 0."""


COMMANDS: dict[str, Command] = {
    "init": init,
    "params": params,
    "plan": plan,
    "check": check,
    "doctor": doctor,
    "doubles": doubles,
    "watch": watch,
    "predict": predict,
    "export": export,
    "serve": serve,
    "scores": scores,
    "checkpoint": checkpoint,
    "zoo": zoo,
    "compare": compare,
    "submission": submission,
    "ui": ui,
    "fiftyone": fiftyone,
}


class Parser(argparse.ArgumentParser):
    """A parser whose errors look like all other errors, and name the nearest right word."""

    def error(self, message: str) -> NoReturn:
        """End with status 2."""
        self.print_usage(sys.stderr)
        self.exit(2, f"error: {message}\n`{self.prog} --help` says how it is called.\n")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            near = difflib.get_close_matches(value, action.choices, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise argparse.ArgumentError(action, f"no {value!r}.{hint} There are: {', '.join(action.choices)}.")


def parser() -> argparse.ArgumentParser:
    """The whole command line: a parser with one for each command."""
    formatter = argparse.RawDescriptionHelpFormatter
    docs = {name: inspect.getdoc(command) or "" for name, command in COMMANDS.items()}
    listed = "".join(f"\n    {name:12}{doc.partition(chr(10))[0]}" for name, doc in docs.items())
    made = Parser("pipeline", description=f"{DESCRIPTION}\n{listed}", epilog=EPILOG, formatter_class=formatter)
    commands = made.add_subparsers(metavar="COMMAND", required=True, help="one of these")
    for name, command in COMMANDS.items():
        one = commands.add_parser(name, description=docs[name], formatter_class=formatter)
        one.set_defaults(run=command.run)
        command.add_arguments(one)
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that `arguments` (the process' own, where None) ask for; the exit status.

    What the user can mend, or the machine refuses, is printed as one message. An interruption ends with 130, and a
    reader that left (`pipeline ... | head`) with 141, as shells count signals.
    """
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    try:
        return _answer(arguments)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python would try once more at its end
        return 128 + signal.SIGPIPE
    except Exception as error:
        if (refused := faults.told(error)) is None:
            raise
        print(f"error: {refused}", file=sys.stderr)
        return 1


def _answer(arguments: Sequence[str] | None) -> int:
    made = parser()
    argcomplete.autocomplete(made)
    try:
        args = made.parse_args(arguments)
        return args.run(args) or 0
    finally:
        sys.stdout.flush()  # here, where it is seen that nobody reads on
