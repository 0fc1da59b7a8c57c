"""Look for what would keep a stage from running; say what to do.

Each line is ok, warn (all runs, but slower, or other than one may think) or FAIL (some stage will not run).

With --deep it also reads all of data/ and of DVC's cache, which takes a while, and finds each file that a disk, or
somebody, has changed since a stage wrote it.

Exit status 1: at least one FAIL.
"""

import argparse
import textwrap
from collections.abc import Callable
from pathlib import Path

from pipeline.cli.finding import Finding, fail
from pipeline.core.errors import UserError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("--deep", action="store_true", help="read every byte of data/ and of DVC's cache as well")


def run(args: argparse.Namespace) -> int:
    """Print what each check finds; the exit status."""
    from pipeline.cli import content, installation, workspace

    if not Path("dvc.yaml").is_file():
        raise UserError(f"{Path.cwd()} is no clone of the project: it has no dvc.yaml. Go to its folder.")
    failed = False
    for check in (*installation.CHECKS, *workspace.CHECKS, *(content.CHECKS if args.deep else ())):
        finding = examine(check)
        failed |= finding.state == "FAIL"
        print(line(check.__name__, finding), flush=True)
    return int(failed)


def examine(check: Callable[[], Finding]) -> Finding:
    """What a check finds; one that breaks is a finding, too, so that the next ones still run."""
    try:
        return check()
    except UserError as error:
        return fail(str(error), "")
    except Exception as error:  # noqa: BLE001 - whatever a broken installation raises
        return fail(f"cannot be looked at: {type(error).__name__}: {error}", "")


def line(name: str, finding: Finding) -> str:
    """The finding as text; the remedy on a line of its own."""
    text = f"{finding.state:4}  {name:13} {finding.found}"
    return text + textwrap.indent(f"\n-> {finding.remedy}", " " * 20) if finding.remedy else text
