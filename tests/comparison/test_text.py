"""The text fits the terminal, and says what the comparison holds."""

from contextlib import ExitStack
from copy import deepcopy

import pytest

from pipeline.comparison.compare import compare
from pipeline.comparison.run import find
from pipeline.comparison.text import text
from pipeline.core import checksums
from tests.comparison.conftest import SETTINGS, table


@pytest.fixture
def found(made):
    """Three systems, the last with a long list of changes and without the model `net`."""
    other = deepcopy(SETTINGS)
    other["models"]["net"]["train"]["lr"] = 1.0
    long = deepcopy(other)
    long["dataset"]["root"] = "/videos/" + "folder/" * 20
    net = table("rrjjrrrr")
    folders = made("a", "rrjjrrrr", net=net), made("b", "rrjffffj", other, net=net), made("c", "rrjjffrj", long)
    with ExitStack() as stack:
        return compare([find(str(folder), stack) for folder in folders])


@pytest.mark.parametrize("width", [80, 100, 120])
def test_no_line_is_wider_than_the_terminal(found, width):
    lines = text(found, width).splitlines()
    assert max(len(line) for line in lines) <= width


@pytest.mark.parametrize("width", [80, 100])
def test_long_names_and_seeds_keep_to_the_terminal(made, width):
    name = "network_00_inceptionresnetv2_16f"
    folders = []
    for number, (lr, seed) in enumerate([(0.1, 0), (0.1, 1), (0.2, 0), (0.2, 1)]):
        settings = deepcopy(SETTINGS)
        settings["models"]["net"]["train"] |= {"lr": lr, "seed": seed}
        folders.append(made(f"f{number}", "rrjjrrrr", settings, **{name: table("rrjjffff"[number:] + "rrjj"[:number])}))
        table("rrjjrrrr").write(folders[-1] / "data/ensemble/val.parquet")
        checksums.seal(folders[-1] / "data/ensemble")
    with ExitStack() as stack:
        lines = text(compare([find(str(folder), stack) for folder in folders]), width).splitlines()
    assert max(len(line) for line in lines) <= width
    assert "8 videos of val, 8 videos of test" in " ".join(lines)
    (line,) = [line for line in lines if "16f, test" in line]
    assert line.count("\N{PLUS-MINUS SIGN}") == 2


def test_it_reads(found):
    lines = text(found, 120).splitlines()
    assert lines[1].startswith("B  ")
    assert lines[2] == "   models.net.train.lr: 0.1 -> 1.0"
    assert "top-1 accuracy in percent; the differences with 95 % intervals over videos" in lines
    (head,) = [line.split("|") for line in lines if line.startswith("| model, split")]
    assert [cell.strip() for cell in head[2:-1]] == ["A", "B", "B - A", "C", "C - A"]
    (net,) = [line for line in lines if line.startswith("| net, test")]
    assert net.count("62.50") == 2
    assert "+0.00 [+0.00, +0.00]" in net
    assert "8 videos of test; 1000 resamples; * is an interval without zero." in lines
    assert "No class of test has 5 videos, so that none is judged." in lines
    assert (
        "Videos whose highest class is right in B alone: 3; right before and no more: 2 (p = 1 by the sign test)."
        in lines
    )
    assert "| gained |" in text(found, 120, top=1)
    assert "and 2 more" in text(found, 120, top=1).splitlines()


def test_where_all_do_not_fit_each_has_a_table_of_its_own(found):
    heads = [line for line in text(found, 80).splitlines() if line.startswith("| model, split")]
    assert [head.split("|")[3].strip() for head in heads] == ["B", "C"]
