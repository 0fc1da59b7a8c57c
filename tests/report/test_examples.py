from dataclasses import replace

import numpy as np
import pytest

from pipeline.predictions.table import PredictionTable
from pipeline.report import examples

NAMES = ("a", "b", "c")


def table(scores, labels, broken=()) -> PredictionTable:
    videos = tuple(f"v{n}" for n in range(len(labels)))
    lost = np.array([n in broken for n in range(len(labels))])
    return PredictionTable(videos, lost, tuple(labels), NAMES, np.array(scores, np.float32), {})


RANKED = table([[0.9, 0.2, 0.1], [0.2, 0.3, 0.1], [0.5, 0.6, 0.7], [0.9, 0.6, 0.1]], ["a", "a", "a", "a"])
"""v0 is right by 0.7 and v3 by 0.3; v1 has its label second, v2 third."""


def test_best_and_worst_by_average_precision_and_then_by_margin():
    assert examples.best_and_worst(RANKED, each=2) == ([0, 3], [2, 1])


@pytest.mark.parametrize("each", [1, 2, 3, 9])
def test_no_video_is_both_best_and_worst(each):
    best, worst = examples.best_and_worst(RANKED, each)
    assert not set(best) & set(worst)
    assert len(best) + len(worst) == min(4, 2 * each)


def test_one_video_stands_alone_and_none_leaves_an_empty_gallery():
    assert examples.best_and_worst(table([[0.1, 0.2, 0.3]], ["a"]), each=3) == ([], [0])
    nothing = table([[0.1, 0.2, 0.3]], ["a"], broken=[0])
    assert examples.best_and_worst(nothing, each=3) == ([], [])
    assert examples.disputed([nothing, nothing], 3, ()) == []
    assert examples.of_other_classes(nothing, 3, ()) == []


def test_a_video_that_was_answered_right_is_none_of_the_worst():
    scores = [[0.9, 0.2, 0.1], [0.8, 0.3, 0.1], [0.5, 0.6, 0.4]]
    assert examples.best_and_worst(table(scores, ["a"] * 3), each=2) == ([0, 1], [2])
    assert examples.best_and_worst(table(scores[:2], ["a"] * 2), each=2) == ([0, 1], [])


def test_videos_without_a_label_and_broken_ones_are_left_out():
    scores = np.tile([0.9, 0.2, 0.1], (3, 1))
    assert examples.best_and_worst(table(scores, [";", "a", "b"]), each=3) == ([1], [2])
    assert examples.best_and_worst(table(scores, ["c", "a", "b"], broken=[0]), each=3) == ([1], [2])


def test_a_video_all_of_whose_classes_are_labels_is_ranked_too():
    assert examples.best_and_worst(table([[0.9, 0.2, 0.1]] * 2, ["a;b;c", "b"]), each=1) == ([0], [1])


def test_an_answer_is_right_partly_right_or_wrong():
    scores = [[0.9, 0.2, 0.1], [0.9, 0.2, 0.1], [0.9, 0.2, 0.1], [0.5, 0.5, 0.1]]
    said = examples.opinions(table(scores, ["a", "a;c", "b", "a"]), [3, 0, 1, 2], top=2)
    assert [one.kind for one in said] == ["right", "right", "partly right", "wrong"]
    assert [one.classes for one in said] == [("a",), ("a",), ("a", "b"), ("a",)]
    assert [(one.name, one.right) for one in said[2].answers] == [("a", True), ("b", False)]
    assert said[1].answers[0].score == pytest.approx(0.9)


def test_members_dispute_a_video_by_what_each_two_of_them_share():
    labels = ["a", "a;b", "a;b", "c", "a"]
    one = table([[0.9, 0, 0], [0.9, 0.8, 0], [0.9, 0.8, 0], [0, 0, 1], [1, 0, 0]], labels, broken=[4])
    other = table([[0.9, 0, 0], [0.9, 0, 0.8], [0.9, 0.8, 0], [0, 1, 0], [0, 1, 0]], labels, broken=[4])
    assert examples.disputed([one, other], 9, ()) == [3, 1], "no class in common, one of two; all others are agreed on"
    assert examples.disputed([one, other], 9, [3]) == [1]
    assert examples.disputed([one, other, other], 1, ()) == [3]
    assert examples.disputed([one], 9, ()) == []


def test_a_member_that_cannot_see_a_video_has_no_say_on_it():
    labels = ["a", "a", "a"]
    one = table([[0.9, 0, 0], [0.9, 0, 0], [0.9, 0, 0]], labels)
    like = table([[0.8, 0, 0], [0, 0.8, 0], [0, 0.8, 0]], labels)  # of another mind on v1 and v2
    prior = replace(table([[0, 0.5, 0]] * 3, labels), unseen=np.array([True, True, False]))
    for members in ([one, like, prior], [prior, one, like]):
        assert examples.disputed(members, 9, ()) == [1, 2], "v0 is agreed on by all who see it"
    blind = replace(prior, unseen=np.array([True, True, True]))
    assert examples.disputed([blind, one], 9, ()) == []


def test_agreement_is_the_mean_over_pairs_of_members():
    rng = np.random.default_rng(0)
    labels = [";".join(rng.permutation(NAMES)[: 1 + n % 2]) for n in range(12)]
    tables = [table(rng.random((12, 3)), labels) for _ in range(4)]
    answers = [[set(one.classes) for one in examples.opinions(each, list(range(12)), 1)] for each in tables]
    shared = [
        np.mean([len(answers[i][v] & answers[j][v]) / len(answers[i][v]) for i in range(4) for j in range(i)])
        for v in range(12)
    ]
    expected = [int(v) for v in np.argsort(shared, kind="stable") if shared[v] < 1]
    assert examples.disputed(tables, 12, ()) == expected
    assert len(set(shared)) > 3


def test_classes_that_are_not_there_get_the_video_with_their_lowest_score():
    scores = [[0.9, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.7, 0.1], [0.2, 0.1, 0.9], [0.1, 0.1, 0.3]]
    answered = table(scores, ["a", "b", "b", "c", "c"])
    assert sorted(examples.of_other_classes(answered, 9, [0])) == [2, 4]
    assert len(examples.of_other_classes(answered, 1, [0])) == 1
    assert examples.of_other_classes(table(scores, ["a", "a;b;c", "b", "c", "c"]), 9, [1]) == []
    worst_first = table([[0.1, 0.9, 0.0], [0.9, 0.1, 0.0], [0.0, 0.1, 0.9]], ["a", "b", "c"])
    assert examples.of_other_classes(worst_first, 2, []) == [1, 0], "average precision 1/3 and 1/2, not 1"


def test_an_example_names_its_classes_and_who_is_right():
    said = examples.Opinion("wrong", (), ("b", "a"))
    right, wrong = (examples.Opinion(kind, (), ()) for kind in ("right", "partly right"))

    def example(**members: examples.Opinion) -> examples.Example:
        return examples.Example("v", 0.5, ("a", "c"), said, members, "", "")

    assert example().classes == ["a", "c", "b"]
    cases = [{}, {"x": right, "y": right}, {"x": right, "y": wrong}, {"x": wrong, "y": wrong}]
    assert [example(**case).right_members for case in cases] == ["", "all", "some", "none"]


def test_what_nobody_knows_is_neither_right_nor_wrong():
    scores = [[0.8, 0.9, 0.1], [0.5, 0.9, 0.7], [0.9, 0.1, 0.8]]
    half_known = table(scores, ["a;?b", "a;?b", "?a"])
    assert examples.best_and_worst(half_known, each=2) == ([0], [1]), "the last shows nothing that is known"
    right, wrong = examples.opinions(half_known, [0, 1], top=3)
    assert (right.kind, right.classes, wrong.kind, wrong.classes) == ("right", ("a",), "wrong", ("c",))
    assert [(a.name, a.right) for a in wrong.answers] == [("b", None), ("c", False), ("a", True)]
    assert examples.labels_of(half_known, 0) == ("a",)


def test_of_videos_that_are_right_the_margin_is_that_of_the_known_classes():
    scores = [[0.9, 0.2, 0.1], [0.9, 0.8, 0.0], [0.9, 0.3, 0.1]]
    assert examples.best_and_worst(table(scores, ["a", "a;?b", "a"]), each=3)[0] == [1, 0, 2]
