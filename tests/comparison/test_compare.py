"""What came of runs: figures, classes and videos that can be counted by eye."""

from contextlib import ExitStack
from copy import deepcopy

import numpy as np
import pytest

from pipeline.comparison.compare import compare
from pipeline.comparison.run import find
from pipeline.comparison.text import text
from pipeline.core import checksums
from pipeline.core.errors import UserError
from pipeline.core.task import SINGLE_LABEL
from pipeline.predictions.view_scores import ViewScores
from tests.comparison.conftest import LABELS, SETTINGS, table


def compared(*folders, views=False, **options):
    with ExitStack() as stack:
        return compare([find(str(folder), stack, views=views) for folder in folders], **options)


def seeded(seed: int, lr: float = 0.1) -> dict:
    settings = deepcopy(SETTINGS)
    settings["models"]["net"]["train"] |= {"seed": seed, "lr": lr}
    return settings


RIGHT = "rrjjffrj"


def test_figures_and_flips_are_those_that_one_counts(made):
    found = compared(made("a", "rrjjrrrr"), made("b", "rrjffffj", seeded(0, lr=1.0)))
    (row,) = found.rows
    assert [figure.mean for figure in row.figures] == [62.5, 75.0]
    assert row.differences[0].value == 12.5
    (pair,) = found.pairs
    assert [(flip.video, flip.labels, flip.before, flip.after) for flip in pair.gained] == [
        ("4.mp4", "fly", "run", "fly"),
        ("5.mp4", "fly", "run", "fly"),
        ("7.mp4", "jump", "run", "jump"),
    ]
    assert [flip.video for flip in pair.lost] == ["3.mp4", "6.mp4"]
    assert pair.probability == 1.0
    assert found.systems[1].title == "train.lr 0.1 -> 1.0"


def test_the_order_of_the_videos_does_not_matter(made):
    a, b = made("a", RIGHT), made("b", RIGHT, seeded(0, lr=1.0))
    one = table("rrjjffrj"[::-1], LABELS[::-1])
    other = type(one)(
        tuple(f"{7 - n}.mp4" for n in range(8)),
        *(getattr(one, name) for name in ("broken", "labels", "classes", "probabilities", "meta")),
    )
    other.write(b / "data/ensemble/test.parquet")
    (b / "data/ensemble/SHA256SUMS").unlink()
    found = compared(a, b)
    assert [figure.mean for figure in found.rows[0].figures] == [100.0, 100.0]
    assert not found.pairs[0].gained + found.pairs[0].lost


def test_seeds_are_one_system_with_a_spread(made):
    a = [made(f"a{seed}", answers, seeded(seed)) for seed, answers in enumerate(["rrjjffrj", "rrjjffrr", "rrjjfffr"])]
    found = compared(*a, made("b", "rrrrrrrr", seeded(0, lr=1.0)))
    assert [system.names for system in found.systems] == [tuple(map(str, a)), (str(a[0].parent / "b"),)]
    first, second = found.rows[0].figures
    assert first.mean == pytest.approx(np.mean([100, 87.5, 75]))
    assert first.spread == pytest.approx(np.std([100, 87.5, 75], ddof=1))
    assert (second.mean, second.spread) == (37.5, None)


def test_a_model_that_both_have_is_a_row_and_can_be_chosen(made):
    a = made("a", RIGHT, net=table("rrjjrrrr"), gone=table(RIGHT))
    b = made("b", RIGHT, seeded(0, lr=1.0), net=table(RIGHT), new=table(RIGHT))
    found = compared(a, b, model="net")
    assert [(row.model, row.split) for row in found.rows] == [("net", "test"), ("ensemble", "test")]
    assert [flip.video for flip in found.pairs[0].gained] == ["4.mp4", "5.mp4", "7.mp4"]
    with pytest.raises(UserError, match="labelled answers of 'gone' on val or test; of net on test, ensemble on test"):
        compared(a, b, model="gone")


def test_videos_whose_labels_differ_do_not_count(made):
    a, b = made("a", RIGHT), made("b", RIGHT, seeded(0, lr=1.0))
    table(RIGHT, ("jump", *LABELS[1:])).write(b / "data/ensemble/test.parquet")
    (b / "data/ensemble/SHA256SUMS").unlink()
    assert compared(a, b).rows[0].videos == 7


def test_another_corpus_is_refused(made):
    a, b = made("a", RIGHT), made("b", RIGHT)
    table("aaaa", ("ask",) * 4, ("ask", "bow")).write(b / "data/ensemble/test.parquet")
    (b / "data/ensemble/SHA256SUMS").unlink()
    with pytest.raises(UserError, match="b has other classes than .*a, so that"):
        compared(a, b)


def test_what_differs_in_seeds_alone_is_refused(made):
    with pytest.raises(UserError, match="differ in nothing but seeds"):
        compared(made("a", RIGHT, seeded(0)), made("b", RIGHT, seeded(1)))


def test_a_folder_without_answers_is_refused(tmp_path):
    with pytest.raises(UserError, match="has no prediction files with labels in"):
        compared(tmp_path, tmp_path)


def test_a_damaged_file_is_named(made):
    a, b = made("a", RIGHT), made("b", RIGHT)
    (b / "data/ensemble/test.parquet").write_bytes((a / "data/ensemble/test.parquet").read_bytes() + b"x")
    with pytest.raises(UserError, match=r"b/data/ensemble/test\.parquet"):
        compared(a, b)


def with_views(folder, answers: str, clip: str) -> None:
    """Give the model `net` two views: under `clip` the first counts, under `multiscale` the second outweighs it."""
    first, second = (table(each).probabilities for each in (clip, answers))
    logits = np.stack([np.log(first), 4 * np.log(second)], axis=1).astype(np.float16)
    grid = {"views": [{}, {}], "protocols": {"clip": [0], "multiscale": [0, 1]}}
    ViewScores(logits, grid, SINGLE_LABEL).write(folder / "data/predictions/net", "test")
    checksums.seal(folder / "data/predictions/net")


def test_under_every_protocol_where_the_views_are_asked_for(made):
    a, b = made("a", RIGHT, net=table("rrjjrrrr")), made("b", RIGHT, seeded(0, lr=1.0), net=table(RIGHT))
    with_views(a, "rrjjrrrr", "rrrrrrrr")
    with_views(b, RIGHT, "rrjjjjjj")
    found = compared(a, b, views=True)
    assert [(row.model, row.protocol) for row in found.rows] == [
        ("net", "clip"), ("net", "multiscale"), ("ensemble", "multiscale"),
    ]  # fmt: skip
    assert [[figure.mean for figure in row.figures] for row in found.rows[:2]] == [[37.5, 62.5], [62.5, 100.0]]
    assert found.rows[0].differences[0].value == 25.0
    lines = text(found).splitlines()
    assert any(line.startswith("| net, test clip ") for line in lines)
    assert [row.protocol for row in compared(a, b).rows] == ["multiscale", "multiscale"]
    assert any(line.startswith("| net, test ") for line in text(compared(a, b)).splitlines())


def test_views_that_are_not_there_or_of_another_run_are_told(made):
    a, b = made("a", RIGHT, net=table(RIGHT)), made("b", RIGHT, seeded(0, lr=1.0), net=table(RIGHT))
    with_views(a, RIGHT, RIGHT)
    with pytest.raises(UserError, match=r"test\.views\.npy does not exist"):
        compared(a, b, views=True)
    with_views(b, RIGHT[:7], RIGHT[:7])
    with pytest.raises(UserError, match="b: net/test.parquet and its views are not of one run"):
        compared(a, b, views=True)
