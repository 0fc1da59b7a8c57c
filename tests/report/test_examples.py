import base64

import numpy as np
import pytest
import simplejpeg

from pipeline.core.errors import UserError
from pipeline.predictions.table import PredictionTable
from pipeline.report import examples

NAMES = ("a", "b", "c")
GREY = [simplejpeg.encode_jpeg(np.full((64, 96, 3), 20 * n, np.uint8)) for n in range(10)]


def table(scores, labels, broken=()) -> PredictionTable:
    videos = tuple(f"v{n}" for n in range(len(labels)))
    lost = np.array([n in broken for n in range(len(labels))])
    return PredictionTable(videos, lost, tuple(labels), NAMES, np.array(scores, np.float32), {})


RANKED = table([[0.9, 0.2, 0.1], [0.2, 0.3, 0.1], [0.5, 0.6, 0.7], [0.9, 0.6, 0.1]], ["a", "a", "a", "a"])
"""v0 is right by 0.7 and v3 by 0.3; v1 has its label second, v2 third."""


def ids(found) -> list[str]:
    return [one.video for one in found]


def test_best_and_worst_by_average_precision_and_then_by_margin(packed):
    best, worst = examples.best_and_worst(RANKED, packed({"v0": GREY}), each=2, top=2)
    assert ids(best) == ["v0", "v3"]
    assert ids(worst) == ["v2", "v1"]
    assert [one.precision for one in worst] == pytest.approx([1 / 3, 1 / 2])
    assert [(a.name, a.right) for a in worst[0].answers] == [("c", False), ("b", False)]


@pytest.mark.parametrize("each", [1, 2, 3, 9])
def test_no_video_is_both_best_and_worst(packed, each):
    best, worst = examples.best_and_worst(RANKED, packed({"v0": GREY}), each, top=1)
    assert not set(ids(best)) & set(ids(worst))
    assert len(best) + len(worst) == min(4, 2 * each)


def test_one_video_stands_alone_and_none_leaves_an_empty_gallery(packed):
    store = packed({"v0": GREY})
    best, worst = examples.best_and_worst(table([[0.1, 0.2, 0.3]], ["a"]), store, each=3, top=1)
    assert (ids(best), ids(worst)) == ([], ["v0"])
    assert examples.best_and_worst(table([[0.1, 0.2, 0.3]], ["a"], broken=[0]), store, each=3, top=1) == ([], [])


def test_a_video_that_was_answered_right_is_none_of_the_worst(packed):
    scores = [[0.9, 0.2, 0.1], [0.8, 0.3, 0.1], [0.5, 0.6, 0.4]]
    store = packed({"v0": GREY})
    best, worst = examples.best_and_worst(table(scores, ["a"] * 3), store, each=2, top=1)
    assert (ids(best), ids(worst)) == (["v0", "v1"], ["v2"])
    best, worst = examples.best_and_worst(table(scores[:2], ["a"] * 2), store, each=2, top=1)
    assert (ids(best), ids(worst)) == (["v0", "v1"], [])


def test_videos_without_a_label_are_left_out(packed):
    scores = np.tile([0.9, 0.2, 0.1], (3, 1))
    best, worst = examples.best_and_worst(table(scores, [";", "a", "b"]), packed({"v0": GREY}), each=3, top=1)
    assert (ids(best), ids(worst)) == (["v1"], ["v2"])


def test_broken_videos_are_left_out(packed):
    scores = [[0.9, 0.2, 0.1], [0.2, 0.3, 0.1], [0.5, 0.6, 0.7]]
    best, worst = examples.best_and_worst(table(scores, ["a"] * 3, broken=[2]), packed({"v0": GREY}), each=3, top=1)
    assert {*ids(best), *ids(worst)} == {"v0", "v1"}


def test_a_video_all_of_whose_classes_are_labels_is_ranked_too(packed):
    best, worst = examples.best_and_worst(table([[0.9, 0.2, 0.1]] * 2, ["a;b;c", "b"]), packed({"v0": GREY}), 1, top=1)
    assert (ids(best), ids(worst)) == (["v0"], ["v1"])


def test_a_strip_is_evenly_spaced_frames(packed):
    levels = []
    for url in examples.strip(packed({"v0": GREY}), "v0"):
        head, _, data = url.partition(",")
        assert head == "data:image/jpeg;base64"
        levels.append(simplejpeg.decode_jpeg(base64.b64decode(data)).mean())
    assert levels == pytest.approx([20, 60, 100, 140, 180], abs=2), "the middles of five parts: 1, 3, 5, 7, 9"


def test_large_frames_become_small(packed):
    noise = np.random.default_rng(0).integers(0, 255, (320, 480, 3), dtype=np.uint8)
    (url,) = examples.strip(packed({"v0": [simplejpeg.encode_jpeg(noise)]}), "v0")
    height, width, _ = simplejpeg.decode_jpeg(base64.b64decode(url.partition(",")[2])).shape
    assert 150 <= width < 300
    assert width / height == pytest.approx(1.5, abs=0.02)


def test_a_video_without_frames_has_no_strip_and_a_damaged_frame_is_named(packed):
    broken = GREY[0][:200] + b"\0" * 50
    store = packed({"v0": [GREY[0]], "v1": [GREY[0], broken]})
    assert examples.strip(store, "nobody") == ()
    with pytest.raises(UserError, match="video 'v1'"):
        examples.strip(store, "v1")


def test_what_nobody_knows_is_neither_right_nor_wrong(packed):
    scores = [[0.8, 0.9, 0.1], [0.5, 0.9, 0.7], [0.9, 0.1, 0.8]]
    best, worst = examples.best_and_worst(table(scores, ["a;?b", "a;?b", "?a"]), packed({"v0": GREY}), each=2, top=3)
    assert (ids(best), ids(worst)) == (["v0"], ["v1"])  # the last shows nothing that is known
    assert (best[0].labels, best[0].precision, worst[0].precision) == (("a",), 1, pytest.approx(1 / 2))
    assert [(a.name, a.right) for a in worst[0].answers] == [("b", None), ("c", False), ("a", True)]


def test_of_videos_that_are_right_the_margin_is_that_of_the_known_classes(packed):
    scores = [[0.9, 0.2, 0.1], [0.9, 0.8, 0.0], [0.9, 0.3, 0.1]]
    best, _ = examples.best_and_worst(table(scores, ["a", "a;?b", "a"]), packed({"v0": GREY}), each=3, top=1)
    assert ids(best) == ["v1", "v0", "v2"]
