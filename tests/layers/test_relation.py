"""Relations against perceptrons by hand, counts that can be read, and the authors' code."""

import itertools
from math import comb

import pytest
import torch
from torch import Tensor

from pipeline.layers.relation import MultiScaleRelation, Relation
from tests.support.golden import golden_io, keys


def small(frames: int = 4, **options: object) -> MultiScaleRelation:
    """A head of 2 features and 3 classes with fixed weights, in eval mode."""
    head = MultiScaleRelation(frames, 2, 5, 3, **options)
    golden_io.fill(head)
    return head.eval()


def numbers(tuples: list[Tensor]) -> list[list[list[int]]]:
    return [scale.tolist() for scale in tuples]


def test_a_relation_is_a_perceptron_over_frames_side_by_side():
    relation = Relation(frames=2, features=2, hidden=1, num_classes=1)
    relation.hidden.weight.data = torch.tensor([[1.0, 10.0, 100.0, 1000.0]])
    relation.classifier.weight.data = torch.tensor([[-2.0]])
    for layer in (relation.hidden, relation.classifier):
        layer.bias.data.zero_()

    score = relation(torch.tensor([[[1.0, 2.0], [3.0, -4.0]]]))  # the ReLU comes first: -4 counts as 0

    assert score.tolist() == [[-2 * (1 + 20 + 300)]]


def test_a_relation_equals_the_authors_code():
    name = "trn_single_8f"

    keys.assert_logits_match(Relation(8, 256, 512, 313), name, keys.weights(name, keys.TRN))


def test_relations_of_all_scales_equal_the_authors_code():
    name = "trn_multiscale_8f"
    drawn = [scale["picked"] for scale in keys.read(name)["meta"]["relations"]]
    head = MultiScaleRelation(8, 256, 256, 313, tuples=[[range(8)], *drawn])

    keys.assert_logits_match(head, name, keys.weights(name, keys.TRN))


@pytest.mark.parametrize("frames", [2, 3, 5, 8])
def test_every_scale_looks_at_three_tuples_or_all_there_are(frames: int):
    head = small(frames)

    for drawn in (head.tuples, head.draw()):
        assert [tuple(scale.shape) for scale in drawn] == [
            (min(3, comb(frames, size)), size) for size in range(frames, 1, -1)
        ]
        for scale in numbers(drawn):
            assert all(row == sorted(set(row)) and set(row) <= set(range(frames)) for row in scale)
            assert len({tuple(row) for row in scale}) == len(scale)  # without replacement


def test_every_tuple_is_drawn_in_time():
    head = small(frames=4)
    torch.manual_seed(0)

    pairs = {tuple(row) for _ in range(50) for row in head.draw()[-1].tolist()}

    assert pairs == set(itertools.combinations(range(4), 2))


def test_scores_repeat_in_eval_and_vary_in_training():
    head = small(frames=6)
    features = golden_io.make_input((2, 6, 2))

    assert torch.equal(head(features), head(features))
    torch.manual_seed(0)
    first, second = head.train()(features), head(features)
    assert not torch.equal(first, second)
    torch.manual_seed(0)
    assert torch.equal(head(features), first)  # torch's generator, so a seed repeats the training


def test_the_draw_of_eval_is_the_seeds_whatever_torchs_generator_says():
    torch.manual_seed(1)
    one = small(frames=6)
    torch.manual_seed(2)
    same, other = small(frames=6), small(frames=6, seed=1)

    assert numbers(one.tuples) == numbers(same.tuples)
    assert numbers(one.tuples) != numbers(other.tuples)
    with torch.device("meta"):
        assert numbers(MultiScaleRelation(6, 2, 5, 3).tuples) == numbers(one.tuples)


def test_scores_are_the_sum_over_tuples_of_their_scales_relation():
    tuples = [[[0, 1, 2]], [[0, 2], [1, 2]]]
    head = small(frames=3, tuples=tuples)
    features = golden_io.make_input((2, 3, 2))

    expected = sum(
        relation(torch.stack([features[:, frame] for frame in row], dim=1))
        for relation, scale in zip(head.scales, tuples, strict=True)
        for row in scale
    )

    torch.testing.assert_close(head(features), expected)


@pytest.mark.slow
def test_compiles_whole_and_so_it_draws_anew():
    head = small(frames=6).train()
    compiled = torch.compile(head, fullgraph=True, backend="aot_eager")
    features = golden_io.make_input((2, 6, 2))

    assert not torch.equal(compiled(features), compiled(features))
    head.eval()
    torch.testing.assert_close(compiled(features), head(features))


@pytest.mark.parametrize("frames", [1, 17])
def test_a_length_that_has_no_or_too_many_tuples_is_refused(frames: int):
    with pytest.raises(ValueError, match=f"frames={frames}.*`multiscale: false`"):
        MultiScaleRelation(frames, 2, 5, 3)


@pytest.mark.parametrize("row", [[1, 0], [0, 3], [0, 0], [0, 1, 2]])
def test_tuples_that_are_none_are_refused(row: list[int]):
    with pytest.raises(ValueError, match="are not 2 ascending frame numbers from 0 to 2"):
        small(frames=3, tuples=[[[0, 1, 2]], [row]])
