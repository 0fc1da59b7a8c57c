"""The report's claims, tried on several corpora of the built-in kind -> docs/claims.md.

    python benchmarks/claims/measure.py                        # `make claims`: under an hour on two cores
    python benchmarks/claims/measure.py --quick                # whether all of it runs, in minutes; no figures
    python benchmarks/claims/measure.py machine.threads=1      # with other settings of conf/

claims.yaml says what is compared. Each seed has a project of its own in the work folder, a copy of this one's code, in
which DVC runs the stages that are stale. So the same command goes on after Ctrl-C, a kill or a change of claims.yaml,
and runs nothing twice. `pipeline watch`, called in such a project, shows how far a training is.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))  # the project need not be installed

import claims_page
from evidence import SeedEvidence
from plan import FILE, Plan
from seed_project import SeedProject

from pipeline.core import files
from pipeline.core.errors import UserError
from pipeline.core.params import hint

ROOT = Path(__file__).parents[2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overrides", nargs="*", metavar="NAME=VALUE", help="settings of conf/, for every seed")
    parser.add_argument("--quick", action="store_true", help="two tiny corpora and one epoch")
    parser.add_argument("--plan", type=Path, default=FILE, metavar="FILE", help="another file like claims.yaml")
    parser.add_argument("--work", type=Path, help="folder of the seeds' projects (default: work/claims)")
    parser.add_argument("--out", type=Path, help="page to write (default: docs/claims.md; with --quick in the folder)")
    given = parser.parse_args()
    work = given.work or ROOT / "work" / ("claims-quick" if given.quick else "claims")
    out = given.out or (work / "claims.md" if given.quick else ROOT / "docs" / "claims.md")
    try:
        plan = Plan.read(given.plan, given.quick, given.overrides)
        projects = run(plan, work)
        cpu_seconds = sum(project.cpu_seconds for project in projects)
        evidence = [SeedEvidence(project.folder) for project in projects]
        command = " ".join(
            ["make claims" if not sys.argv[1:] else "python benchmarks/claims/measure.py", *sys.argv[1:]]
        )
        files.write_text(out, claims_page.text(plan, evidence, command, cpu_seconds))
    except UserError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        print("Stopped. The same command goes on.", file=sys.stderr)
        sys.exit(130)
    print(f"{out} is written")


def run(plan: Plan, work: Path) -> list[SeedProject]:
    """Bring every seed's project up to date: first what starts from nothing, then what starts from another seed's."""
    projects = {seed: SeedProject(work, seed) for seed in plan.seeds}
    for project in projects.values():
        project.copy_code(ROOT)
    wanted = {variant.start for variant in plan.variants.values() if variant.start}
    for last in (False, True):
        for seed, project in projects.items():
            starts = {model for model in wanted if project.take_start(model, projects[plan.next(seed)])}
            if last and (missing := wanted - starts):
                raise UserError(f"There is no model {missing.pop()!r} to start from.{hint('', plan.variants)}")
            project.run(plan.settings(project.folder / "conf", seed, starts))
    return list(projects.values())


if __name__ == "__main__":
    main()
