"""The house keeps its shape: imports go down one line of packages, and dvc.yaml names all code that a stage runs."""

import ast
import functools
import re
from pathlib import Path

import pytest
import yaml

from pipeline.inference import run as inference_run
from pipeline.training import resume

ROOT = Path(__file__).parents[1]
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
FILES = sorted(file.relative_to(ROOT) for top in ("pipeline", "stages") for file in (ROOT / top).rglob("*.py"))
LINE = [  # a package imports from those of lower lines, and from its neighbours where no circle comes of it
    "__main__",
    "stages cli",
    "comparison export near_doubles serve ui",
    "report check check_model check_corpus",
    "ensemble inference folds",
    "training features predictions",
    "models losses pretrained runtime sound flow extraction datasets demo clips",
    "layers class_stats verdict chance metrics cost core",
]
HEIGHT = {name: -number for number, names in enumerate(LINE) for name in names.split()}
OPEN_SETS = {"models", "losses", "datasets"}
"""Packages of which the registry finds a member by its name."""
TALK = {Path("stages/command.py")}
"""What a stage says, never what it writes: a change of these must rerun nothing."""


@functools.cache
def imports(file: Path) -> set[Path]:
    """The files of this project that `file` imports, but for the docstrings that packages are."""
    found = set()
    for node in ast.walk(ast.parse((ROOT / file).read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    paths = {Path(*name.split(".")) for name in found}
    known = {path.with_suffix(".py") for path in paths} | {path / "__init__.py" for path in paths}
    return {path for path in known if (ROOT / path).is_file() and has_code(path)}


@functools.cache
def has_code(file: Path) -> bool:
    return len(ast.parse((ROOT / file).read_text(encoding="utf-8")).body) > 1


def closure(*files: Path) -> set[Path]:
    """The files and all that they import, directly or not."""
    seen, todo = set(), set(files)
    while todo:
        seen.add(current := todo.pop())
        todo |= imports(current) - seen
    return seen


def package(file: Path) -> str:
    """The package of a file, or the file that lies beside the packages."""
    return "stages" if file.parts[0] == "stages" else file.with_suffix("").parts[1]


def circle(graph: dict[object, set[object]]) -> list[object]:
    """What is left when all that imports nothing of the rest is taken away, again and again."""
    rest = {node: edges - {node} for node, edges in graph.items()}
    while free := {node for node, edges in rest.items() if not edges & rest.keys()}:
        rest = {node: edges for node, edges in rest.items() if node not in free}
    return sorted(map(str, rest))


def listed(stage: str) -> set[Path]:
    """The code in dvc.yaml under a stage; every member where the settings name one of an open set."""
    deps = [Path(str(dep)) for dep in STAGES[stage].get("do", STAGES[stage])["deps"]]
    kept = {dep.parent if "$" in dep.name else dep for dep in deps if dep.parts[0] in ("pipeline", "stages")}
    return {file for file in FILES if has_code(file) and kept & {file, *file.parents}}


@pytest.mark.parametrize("file", [file for file in FILES if package(file) != "__init__"], ids=str)
def test_imports_go_down_the_line(file):
    for other in imports(file):
        assert HEIGHT[package(other)] <= HEIGHT[package(file)], f"{file} may not import {other}; see LINE"


def test_no_imports_go_in_a_circle():
    by_file = {file: imports(file) for file in FILES}
    assert not circle(by_file)
    packages = {package(file) for file in FILES}
    assert not circle({p: {package(o) for f in FILES if package(f) == p for o in by_file[f]} for p in packages})


def test_the_oracles_see_an_import_and_a_circle():
    assert Path("pipeline/core/registry.py") in imports(Path("stages/index.py"))
    assert Path("pipeline/core/files.py") in closure(Path("stages/index.py"))
    assert circle({1: {2}, 2: {3}, 3: {2}, 4: set()}) == ["1", "2", "3"]


def definition(stage: str) -> dict[str, object]:
    return STAGES[stage].get("do", STAGES[stage])


def script(stage: str) -> Path:
    """The file that a stage runs: of its own name, or, for a fold, of the stage that it repeats."""
    (name,) = re.findall(r"python -m stages\.(\w+)", definition(stage)["cmd"])
    assert name == stage.removesuffix("_fold")
    return Path("stages") / f"{name}.py"


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_lists_every_file_that_it_runs(stage):
    run = closure(script(stage), *listed(stage)) - TALK
    missing = run - listed(stage) - closure(*TALK)
    assert not missing, f"dvc.yaml: stage {stage!r} runs {sorted(map(str, missing))}; add them under deps"


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_lists_no_folder_of_which_it_runs_nothing(stage):
    for dep in STAGES[stage].get("do", STAGES[stage])["deps"]:
        path = Path(str(dep))
        if path.parts[0] == "pipeline" and "$" not in path.name and path.name not in OPEN_SETS:
            others = {file for file in listed(stage) if not {path} & {file, *file.parents}}
            run = closure(script(stage), *others)
            assert any({path} & {file, *file.parents} for file in run), f"dvc.yaml: {stage!r} lists {dep} in vain"


@pytest.mark.parametrize(("stage", "code"), [("train", resume.CODE), ("infer", inference_run.CODE)])
def test_unfinished_work_is_kept_under_the_code_that_the_stage_lists(stage, code):
    deps = [str(dep) for dep in STAGES[stage]["do"]["deps"]]
    named = {dep.removeprefix("pipeline/") for dep in deps if dep.startswith("pipeline/") and "$" not in dep}
    assert named == set(code)


OF_A_FOLD = {  # what the corpus has under data/ -> what a fold has
    "${key}": "${item.model}",
    "data/manifest.tsv": "data/folds/splits/${item.fold}/manifest.tsv",
    "data/stats": "data/folds/splits/${item.fold}/stats",
    "data/models/": "data/folds/models/${item.fold}/",
    "data/predictions/": "data/folds/predictions/${item.fold}/",
}
COARSE = {"pipeline/models", "pipeline/losses", "data/models/${item.model}/recipe.json"}
"""What a fold depends on instead of the files that only a stage of one model can name."""


@pytest.mark.parametrize("stage", ["train", "infer"])
def test_a_fold_is_trained_and_tested_as_the_corpus_is(stage):
    def of_a_fold(text: str) -> str:
        return functools.reduce(lambda done, pair: done.replace(*pair), OF_A_FOLD.items(), text)

    one, fold = definition(stage), definition(f"{stage}_fold")
    assert fold["cmd"] == of_a_fold(one["cmd"])
    assert fold["params"] == [of_a_fold(name) for name in one["params"]]
    named = {dep for dep in one["deps"] if "${item." in dep or dep.startswith(("pipeline/losses/", "pipeline/models/"))}
    assert set(fold["deps"]) - COARSE == {of_a_fold(dep) for dep in set(one["deps"]) - named}
    assert set(listed(stage)) <= set(listed(f"{stage}_fold"))


def test_the_final_model_is_trained_as_a_fold_is():
    fold, final = definition("train_fold"), definition("final")
    assert final["params"] == fold["params"]
    assert {dep for dep in fold["deps"] if "fold" not in dep} - set(final["deps"]) == {"stages/train.py"}


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_is_a_short_script_of_the_same_name(stage):
    text = (ROOT / script(stage)).read_text(encoding="utf-8")
    assert f"python -m stages.{script(stage).stem}" in text, "its docstring shows how it is run by hand"
    assert len(text.splitlines()) <= 40


def test_the_machine_section_is_nobodys_dependency():
    for stage in STAGES.values():
        assert not any(str(p).startswith("machine") for p in stage.get("do", stage).get("params", []))


def test_every_stage_waits_for_the_check_and_only_the_check_reads_all_settings():
    for name, stage in STAGES.items():
        deps = stage.get("do", stage)["deps"]
        assert ("params.yaml" in deps) == (name == "check")
        assert ("data/checked.txt" in deps) == (name != "check")


def test_only_the_registry_imports_by_name():
    for file in FILES:
        if "import_module" in (ROOT / file).read_text(encoding="utf-8"):
            assert file == Path("pipeline/core/registry.py")


def test_there_is_no_torch_in_the_core():
    for file in FILES:
        assert package(file) != "core" or "import torch" not in (ROOT / file).read_text(encoding="utf-8")


def test_no_central_drawer():
    names = {part for file in FILES for part in file.with_suffix("").parts}
    assert not names & {"utils", "common", "helpers", "misc"}


def test_a_file_has_300_lines_at_most():
    lengths = {str(file): len((ROOT / file).read_text(encoding="utf-8").splitlines()) for file in FILES}
    assert {file: lines for file, lines in lengths.items() if lines > 300} == {}


def test_a_function_fits_a_screen():
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in ROOT.glob("pipeline/**/*.py")}
    functions = ast.FunctionDef | ast.AsyncFunctionDef
    lengths = {
        f"{path.relative_to(ROOT)}: {node.name}": (node.end_lineno or 0) - node.lineno + 1
        for path, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, functions)
    }
    assert len(lengths) > 1000
    assert {name: lines for name, lines in lengths.items() if lines > 50} == {}
