"""The pages of docs/, README and CONTRIBUTING name what there is: files, headings, commands, models, settings."""

import ast
import importlib.util
import re
import shlex
from pathlib import Path

import pytest
import yaml

from pipeline.cli import compose
from pipeline.cli.main import COMMANDS

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]
every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
EXAMPLES = {file.stem for file in (DOCS / "examples").iterdir()}
"""What extending.md adds: names that are there once a reader has copied the files."""


def without_code(text: str) -> str:
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """What the headings of a page are called in links, as Markdown's toc and code hosts call them."""
    headings = re.findall(r"^#+ (.*)$", without_code(page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower()) for heading in headings}


def broken_links(page: Path) -> list[str]:
    """Links of a page to a file or heading that is not there."""
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", without_code(page.read_text(encoding="utf-8"))):
        if re.match(r"https?://", link):
            continue
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        if not target.is_file() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    return broken


def commands(page: Path, word: str) -> list[str]:
    """The lines and pieces of code of a page that call `word`, from there on."""
    text = page.read_text(encoding="utf-8")
    return re.findall(rf"(?:^ {{4}}|`|&& )({re.escape(word)} [^`\n]*)", text, re.MULTILINE)


def overrides(command: str) -> list[str]:
    """The settings that `dvc exp run` or `pipeline params` is called with."""
    words = shlex.split(command.partition("&&")[0], comments=True)
    return [word for word in words if re.fullmatch(r"\+?[a-z_.0-9]+=.+", word)]


@every_page
def test_links_resolve(page):
    assert not broken_links(page)


def test_the_oracle_sees_broken_links(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "# Some `code`, here\n[a](page.md) [b](#some-code-here) [c](gone.md) [d](page.md#gone) [e](https://x.y)"
    )
    assert broken_links(page) == ["gone.md", "page.md#gone"]


@every_page
def test_make_targets_exist(page):
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    named = {shlex.split(command, comments=True)[1] for command in commands(page, "make")}
    assert {name for name in named if "=" not in name} <= targets


@every_page
def test_commands_of_the_pipeline_exist(page):
    named = {command.split()[1] for command in commands(page, "pipeline")}
    assert {name for name in named if name[0].isalpha() and name.islower()} <= set(COMMANDS)


@every_page
def test_stages_exist(page):
    for stage in re.findall(r"stages\.([a-z]+)", page.read_text(encoding="utf-8")):
        assert (ROOT / "stages" / f"{stage}.py").is_file()


@every_page
def test_settings_that_commands_name_compose(page):
    calls = [*commands(page, "dvc exp run"), *commands(page, "pipeline params")]
    for found in filter(None, map(overrides, calls)):
        if not EXAMPLES & {value for word in found for value in word.split("=")}:
            first_of_a_sweep = [word if "[" in word else word.partition(",")[0] for word in found]
            assert compose.text(ROOT / "conf", first_of_a_sweep)


@every_page
def test_models_exist(page):
    known = {file.stem for file in (ROOT / "conf" / "model").glob("*.yaml")} | EXAMPLES
    text = page.read_text(encoding="utf-8")
    listed = re.findall(r"^\| `(\w+)`", text, re.MULTILINE) if page.name == "models.md" else []
    assert {*re.findall(r"\bmodel=([a-z0-9_]+)", text), *listed} <= known


def test_the_tables_of_settings_are_what_the_code_reads():
    spec = importlib.util.spec_from_file_location("settings_page", DOCS / "settings.py")
    settings = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(settings)
    text = settings.PAGE.read_text(encoding="utf-8")

    outdated = set(tables(text)) - set(tables(settings.page(text)))
    assert not outdated, "run `python docs/settings.py`, which writes docs/settings.md"


def tables(text: str) -> list[str]:
    """The parts of a page, each with its heading; a member of an open set that it lacks is no fault of the page."""
    return [part.strip() for part in re.split(r"^(?=##+ )", text, flags=re.MULTILINE)]


def test_every_setting_of_params_yaml_has_its_row():
    text = (DOCS / "settings.md").read_text(encoding="utf-8")
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    for section in ("dataset", "demo", "extract", "infer", "ensemble", "machine"):
        body = text.split(f"\n## `{section}`\n")[1].split("\n## ")[0]
        assert set(params[section]) <= set(re.findall(r"^\| `(\w+)`", body, re.MULTILINE))


def test_every_package_has_its_page():
    packages = {file.parent.name for file in (ROOT / "pipeline").glob("*/__init__.py")}
    assert packages == {file.stem for file in (DOCS / "api").glob("*.md")} - {"files"}


def test_every_example_is_on_the_page_that_explains_it():
    text = (DOCS / "extending.md").read_text(encoding="utf-8")
    for file in (DOCS / "examples").iterdir():
        assert f'--8<-- "docs/examples/{file.name}"' in text


SOURCES = sorted((ROOT / "pipeline").rglob("*.py"))


def arguments_together(text: str) -> list[str]:
    """Lines of the docstrings' lists of arguments that describe several at once."""
    documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    docstrings = [ast.get_docstring(node) or "" for node in ast.walk(ast.parse(text)) if isinstance(node, documented)]
    lists = [listed for one in docstrings for listed in re.findall(r"^Args:\n((?: +.*\n?)+)", one, re.MULTILINE)]
    return [line.strip() for one in lists for line in re.findall(r"^    \w+, \w[^:]*:.*", one, re.MULTILINE)]


def test_a_docstring_describes_an_argument_a_line_or_the_site_is_not_built():
    together = 'def f(a, b):\n    """Do it.\n\n    Args:\n        a, b: what is done.\n    """\n'
    assert arguments_together(together) == ["a, b: what is done."]
    assert arguments_together(together.replace("a, b:", "a: one, b:")) == []
    assert {path: found for path in SOURCES if (found := arguments_together(path.read_text(encoding="utf-8")))} == {}
