"""FrameConsensus around networks that are simple enough to follow by hand."""

import pytest
import torch
from torch import Tensor, nn

from pipeline.layers.consensus import BATCH_NORMS, FrameConsensus, FrameNetwork
from pipeline.layers.non_local import NonLocal


class Brightness(nn.Module):
    """A backbone whose three features are the mean red, green and blue of an image."""

    head_hidden_size = 3

    def forward(self, images: Tensor) -> Tensor:
        return images.mean(dim=(2, 3))


class ThreeNorms(nn.Sequential):
    """A backbone with three batch norms."""

    head_hidden_size = 3

    def __init__(self) -> None:
        norms = [nn.BatchNorm2d(3) for _ in range(3)]
        super().__init__(*norms, Brightness())


def by_hand(weight: list[list[float]], **options: object) -> FrameConsensus:
    """A network of Brightness and a chosen classifier."""
    model = FrameConsensus(Brightness(), len(weight), **options)
    model.classifier.weight.data = torch.tensor(weight)
    return model.eval()


def numbered_clips(clips: int, frames: int) -> Tensor:
    """(N, 3, T, 2, 2); a value is 100 * clip + 10 * colour + frame."""
    clip = 100 * torch.arange(clips).view(-1, 1, 1, 1, 1)
    colour = 10 * torch.arange(3).view(-1, 1, 1, 1)
    frame = torch.arange(frames).view(-1, 1, 1)
    return (clip + colour + frame).float().expand(-1, -1, -1, 2, 2)


def test_logits_are_the_mean_over_each_clips_own_frames():
    only_red, only_blue = [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]

    logits = by_hand([only_red, only_blue])(numbered_clips(clips=2, frames=5))

    assert logits.tolist() == [[2, 22], [102, 122]]


def test_any_number_of_frames_will_do_unless_the_backbone_needs_one():
    assert by_hand([[1.0, 0.0, 0.0]])(numbered_clips(clips=1, frames=9)).tolist() == [[4]]

    with pytest.raises(ValueError, match=r"clip has 9 frames.*built for 8.*`frames: 9`"):
        by_hand([[1.0, 0.0, 0.0]], frames=8)(numbered_clips(clips=1, frames=9))


def test_the_classifier_starts_near_zero():
    classifier = FrameConsensus(Brightness(), 10_000).classifier

    assert classifier.weight.std().item() == pytest.approx(0.001, rel=0.05)
    assert classifier.bias.count_nonzero() == 0


def test_dropout_is_between_features_and_classifier_and_off_in_eval():
    model = by_hand([[1.0, 1.0, 1.0]], dropout=0.75)
    ones = torch.ones(1, 3, 1, 2, 2)

    assert model(ones).item() == 3
    model.train()
    torch.manual_seed(0)
    logits = {round(model(ones).item()) for _ in range(999)}
    assert logits == {0, 4, 8, 12}  # 0 to 3 features left, times 1 / 0.25


def test_partial_bn_freezes_all_norms_but_the_first():
    model = FrameConsensus(ThreeNorms(), 2, partial_bn=True)
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]

    assert model.eval().train() is model
    model(torch.rand(2, 3, 4, 5, 5)).sum().backward()

    assert [norm.training for norm in norms] == [True, False, False]
    assert [norm.num_batches_tracked.item() for norm in norms] == [1, 0, 0]
    assert [norm.weight.grad is not None for norm in norms] == [True, False, False]
    assert [norm.bias.requires_grad for norm in norms] == [True, False, False]


def test_partial_bn_outlives_the_change_to_synchronised_norms():
    model = nn.SyncBatchNorm.convert_sync_batchnorm(FrameConsensus(ThreeNorms(), 2, partial_bn=True)).train()

    norms = [module for module in model.modules() if isinstance(module, nn.SyncBatchNorm)]
    assert [norm.training for norm in norms] == [True, False, False]
    assert [norm.weight.requires_grad for norm in norms] == [True, False, False]


def test_partial_bn_lets_the_norms_of_non_local_blocks_learn():
    backbone = ThreeNorms()
    backbone.insert(2, NonLocal(3, frames=4, pool="none"))
    model = FrameConsensus(backbone, 2, partial_bn=True).train()

    learning = [module.training for module in backbone.modules() if isinstance(module, BATCH_NORMS)]
    assert learning == [True, False, True, False]
    assert backbone[2].bn.weight.requires_grad
    assert model.frames is None


def test_a_network_of_frames_has_dropped_features_for_any_consensus():
    class Last(FrameNetwork):
        def consensus(self, features: Tensor) -> Tensor:
            return features[:, -1]

    last = Last(Brightness(), dropout=1.0)
    clips = numbered_clips(clips=2, frames=5)

    assert last.eval()(clips).tolist() == [[4, 14, 24], [104, 114, 124]]
    assert not last.train()(clips).any()


def test_without_partial_bn_all_norms_learn():
    model = FrameConsensus(ThreeNorms(), 2).eval().train()

    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    assert [norm.training and norm.weight.requires_grad for norm in norms] == [True] * 3
