"""Write a copy of a run's page that names the run and commit.

    pipeline page                     data/report as it is now -> data/page/index.html
    pipeline page RUN --out FOLDER    that of an experiment, commit, branch or tag

The page in data/report names neither: it is an out in DVC's cache, and the same for all runs that have the same inputs.
The copy is called by the commit and the experiments that have this very dvc.lock and params.yaml. Where none has, as
between a run and its commit, it says so. In a folder beside data/report its videos play as they do there.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

from pipeline.cli.arguments import DATA
from pipeline.core import files
from pipeline.core.errors import UserError

NOW = "."
SAME = ("dvc.lock", "params.yaml")
"""What two runs have in common that are the same: what went in, by its hashes, and all settings."""
EXPERIMENTS = "refs/exps/"
"""Where DVC keeps experiments: by the commit that each began from, in two parts, and its name."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("of", nargs="?", default=NOW, metavar="RUN", help="experiment, commit, branch or tag")
    parser.add_argument("--out", type=Path, default=DATA / "page", help="folder to write (default: %(default)s)")


def run(args: argparse.Namespace) -> None:
    """Write the copy."""
    from pipeline.comparison.run import opened, resolved
    from pipeline.report.page import PAGE, named

    report = DATA / "report"
    _check_place(args.out)
    with files.aside(args.out) as partial:
        if args.of == NOW:
            _check_report(report)
            shutil.copytree(report, partial)
            name = name_of_now()
        else:
            with opened(args.of) as found:
                found.get(str(report), str(partial), recursive=True)
                name = name_of(resolved(args.of))
        text = named((partial / PAGE).read_text(encoding="utf-8"), name)
        (partial / PAGE).unlink()  # else the file in DVC's cache, of which it may be a link, would change
        files.write_text(partial / PAGE, text)
    print(f"{args.out / PAGE}: {name}")


def name_of(commit: str) -> str:
    """What a commit is called, which may be that of an experiment."""
    same = [(path, at) for path, at in _experiments() if at == commit or _inputs(at) == _inputs(commit)]
    begun = {at: f"begun from commit {_short(path.split('/')[2] + path.split('/')[3])}" for path, at in same}
    return "; ".join([*_named([path for path, _ in same]), begun.get(commit, f"commit {_short(commit)}")])


def name_of_now() -> str:
    """What the run in data/ is called."""
    head, now = _git("rev-parse", "HEAD"), _git("hash-object", *SAME).split()
    if now == _inputs(head):
        return name_of(head)
    if same := [at for _, at in _experiments() if now == _inputs(at)]:
        return name_of(same[0])
    return f"commit {_short(head)} with changes that are not committed"


def _named(paths: list[str]) -> list[str]:
    names = [path.split("/", 4)[4] for path in paths]
    return [f"experiment{'s' * (len(names) > 1)} {', '.join(names)}"] if names else []


def _experiments() -> list[tuple[str, str]]:
    """Ref and commit of each experiment."""
    listed = _git("for-each-ref", "--format=%(refname) %(objectname)", EXPERIMENTS).splitlines()
    pairs = [(ref, commit) for ref, _, commit in (line.rpartition(" ") for line in listed)]
    return [
        (ref, commit) for ref, commit in pairs if re.fullmatch(f"{EXPERIMENTS}[0-9a-f]{{2}}/[0-9a-f]{{38}}/.+", ref)
    ]


def _inputs(commit: str) -> list[str]:
    """The hashes of `SAME` in a commit; fewer where it lacks one."""
    listed = _git("ls-tree", commit, *SAME).splitlines()
    return [line.split()[2] for line in listed]


def _short(commit: str) -> str:
    return commit[:7]


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], capture_output=True, encoding="utf-8", check=False)
    if done.returncode:
        raise UserError(f"git {arguments[0]}: {done.stderr.strip()}. Run this in the project's root, a Git repository.")
    return done.stdout.strip()


def _check_place(out: Path) -> None:
    """Refuse a folder that holds anything but such a copy, since it is replaced."""
    from pipeline.report.page import PAGE, is_named

    if out.is_dir() and any(out.iterdir()):
        page = out / PAGE
        if not (page.is_file() and is_named(page.read_text(encoding="utf-8"))):
            raise UserError(f"{out} holds something else than a copy that this command wrote. Name another with --out.")


def _check_report(report: Path) -> None:
    """Refuse a page that is not what dvc.lock says."""
    asked = [sys.executable, "-m", "dvc", "status", "--json", "report"]
    done = subprocess.run(asked, capture_output=True, encoding="utf-8", check=False)
    if done.returncode:
        raise UserError(f"`dvc status` failed: {done.stderr.strip()}")
    if json.loads(done.stdout):
        raise UserError(
            f"{report} is not of the run that dvc.lock describes. `dvc repro`, or `dvc checkout`, and again."
        )
