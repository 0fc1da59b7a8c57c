"""Compare runs: what was changed, and what came of it.

    pipeline compare                        the figures of all experiments, side by side
    pipeline compare RUN                    data/ as it is now against that run
    pipeline compare RUN RUN ...            each run against the first

RUN is an experiment, a commit, a branch or tag, or a folder with data/; `.` is data/ as it is now. With runs, each
figure comes with its difference from the first and a paired 95 % interval, then the classes and videos that changed
most. Runs that differ in the seeds of their trainings alone are one row.

Without runs it is `dvc exp show`, turned so that it fits a terminal: a row a figure, a column an experiment, or the
mean of several that differ in seeds alone, and below what was set in each. The first columns are data/ as it is now,
and the commit. Experiments of another corpus than that of the first column with figures are left out: their classes or
their task differ, so that a higher figure would say nothing. Figures of the built-in corpus that lie in the
repository's history are such, once the corpus is your own.
"""

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.cli.arguments import at_least_one
from pipeline.core.errors import UserError

if TYPE_CHECKING:
    from pipeline.comparison.compare import Comparison


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("runs", nargs="*", metavar="RUN", help="experiment, commit or folder; the first is the base")
    parser.add_argument("--model", metavar="NAME", help="whose classes and videos are compared (default: the ensemble)")
    parser.add_argument("--split", choices=("val", "test"), help="of those (default: test, where it has labels)")
    parser.add_argument(
        "--protocols", action="store_true", help="models under all their protocols, from the logits of their views"
    )
    parser.add_argument(
        "--top", type=at_least_one, default=5, metavar="N", help="rows of a list (default: %(default)s)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all that was found; - prints it instead")
    parser.add_argument("--page", type=Path, metavar="FILE.html", help="write it as a page")


def run(args: argparse.Namespace) -> None:
    """Print the table of all experiments, or the comparison of some runs."""
    if not args.runs:
        if args.model or args.split or args.protocols or args.json or args.page:
            raise UserError("All options are for runs: name one, or two; `dvc exp show` lists them.")
        done = subprocess.run(
            [sys.executable, "-m", "dvc", "exp", "show", "--json"], stdout=subprocess.PIPE, check=False
        )
        if done.returncode:
            raise UserError("`dvc exp show` failed, as it says above. Run this in the project's root.")
        from pipeline.comparison import overview

        print(overview.text(json.loads(done.stdout), _width()))
        return
    _tell(_compare([*args.runs, "."] if len(args.runs) == 1 else args.runs, args), args)


def _compare(names: Sequence[str], args: argparse.Namespace) -> "Comparison":
    from pipeline.comparison.compare import compare
    from pipeline.comparison.run import find

    with ExitStack() as stack:
        runs = [find(name, stack, views=args.protocols) for name in dict.fromkeys(names)]
        return compare(runs, args.model, args.split)


def _tell(found: "Comparison", args: argparse.Namespace) -> None:
    from pipeline.comparison import page
    from pipeline.comparison.text import text
    from pipeline.core import files

    if args.page:
        page.write(found, args.page)
    if args.json == Path("-"):
        print(json.dumps(found.plain, indent=2, ensure_ascii=False))
        return
    if args.json:
        files.write_json(args.json, found.plain)
    print(text(found, _width(), args.top))


def _width() -> int:
    return max(60, shutil.get_terminal_size((100, 24)).columns)
