"""The house keeps its shape: imports point down, and dvc.yaml names every file of code that a stage runs."""

import ast
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
FILES = sorted(file.relative_to(ROOT) for file in (ROOT / "pipeline").rglob("*.py"))
FLOORS = [  # a module imports from the floors below its own, never from its own or above
    "errors",
    "params work pickles interruption stopwatch forks",
    "machine catalog code tables compose",
    "records ledger",
    "demo_clip calibration confusion drawing provenance loader means dumps",
    "demo frames store sampling views transforms statistics metrics bootstrap mixing ranking layers weights anatomy",
    "extraction clips models losses datasets importers optim devices checkpoint resume predictions rivals blocks",
    "pretrained recipe curves classes gallery predictor",
    "training inference blend ensemble submission results",
    "variants compare zoo foreign predict",
    "fusion appraisal run inspection settings",
    "report",
]
FLOOR = {name: number for number, names in enumerate(FLOORS) for name in names.split()}
INSIDE = {"layers"}  # layers may build on layers
TALK = {  # what a stage says, never what it writes: a change of these must rerun nothing
    Path("stages/__init__.py"),
    Path("stages/command.py"),
    Path("pipeline/__init__.py"),
    Path("pipeline/errors.py"),
    Path("pipeline/interruption.py"),
    Path("pipeline/compose.py"),
}


def imports(file: Path) -> set[Path]:
    """The files of this project that `file` imports."""
    found = set()
    for node in ast.walk(ast.parse((ROOT / file).read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    paths = {Path(*name.split(".")).with_suffix(".py") for name in found}
    return {path for path in paths if (ROOT / path).is_file()}


def closure(*files: Path) -> set[Path]:
    """The files and all that they import, directly or not."""
    seen, todo = set(), set(files)
    while todo:
        seen.add(current := todo.pop())
        todo |= imports(current) - seen
    return seen


def room(file: Path) -> str:
    return file.with_suffix("").parts[1]


def code_of(stage: str) -> tuple[set[Path], set[Path]]:
    """The files of code that dvc.yaml declares for a stage, and those that it runs."""
    declared = {Path(dep) for dep in STAGES[stage].get("do", STAGES[stage])["deps"]}
    open_sets = {Path(str(dep).split("$")[0]) for dep in declared if "pipeline" in dep.parts and "$" in str(dep)}
    covered = {f for f in FILES if f in declared or set(f.parents) & (declared | open_sets)}
    return covered, closure(Path("stages") / f"{stage}.py", *covered)


@pytest.mark.parametrize("file", [file for file in FILES if file.name != "__init__.py"], ids=str)
def test_imports_point_down(file):
    for other in imports(file):
        if other.name == "__init__.py":
            continue
        same = room(other) == room(file) and room(file) in INSIDE
        assert same or FLOOR[room(other)] < FLOOR[room(file)], f"{file} may not import {other}; see FLOORS"


def test_the_oracle_itself_sees_an_import():
    assert Path("pipeline/records.py") in imports(Path("stages/index.py"))
    assert Path("pipeline/work.py") in closure(Path("stages/index.py"))


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_declares_every_file_that_it_runs(stage):
    declared, run = code_of(stage)
    missing = {f for f in run - declared - TALK if f.parts[0] == "pipeline" and f.name != "__init__.py"}
    assert not missing, f"dvc.yaml: stage {stage!r} runs {sorted(map(str, missing))}; add them under deps"


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_declares_no_file_that_it_does_not_run(stage):
    declared, _ = code_of(stage)
    open_set = {f for f in declared if room(f) in {"models", "losses", "datasets", "layers", "importers"}}
    run = closure(Path("stages") / f"{stage}.py", *open_set)
    spare = declared - run - open_set
    assert not spare, f"dvc.yaml: stage {stage!r} lists {sorted(map(str, spare))}, which it never runs"


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_is_a_short_script_of_the_same_name(stage):
    text = (ROOT / "stages" / f"{stage}.py").read_text(encoding="utf-8")
    assert f"python -m stages.{stage}" in text, "its docstring shows how it is run by hand"
    assert len(text.splitlines()) <= 40


def test_the_machine_section_is_nobodys_dependency():
    for stage in STAGES.values():
        assert not any(str(p).startswith("machine") for p in stage.get("do", stage).get("params", []))


def test_only_the_catalog_imports_by_name():
    for file in FILES:
        if "import_module" in (ROOT / file).read_text(encoding="utf-8"):
            assert file == Path("pipeline/catalog.py")


def test_no_central_drawer():
    names = {file.stem for file in FILES}
    assert not names & {"config", "utils", "common", "helpers", "misc"}
