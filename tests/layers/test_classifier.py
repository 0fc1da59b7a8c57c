"""ClipClassifier around a backbone that is simple enough to follow by hand."""

import pytest
import torch
from torch import nn

from pipeline.layers.classifier import ClipClassifier


def test_logits_come_from_the_mean_over_maps_of_any_size():
    model = ClipClassifier(nn.Identity(), channels=3, num_classes=2).eval()
    model.classifier.weight.data = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 2.0]])
    colours = torch.tensor([1.0, 2.0, 3.0]).view(1, 3, 1, 1, 1)

    for size in ((1, 1, 1), (4, 2, 3)):
        assert model(colours.expand(1, 3, *size)).tolist() == [[1, 6]]


def test_dropout_is_in_front_of_the_classifier_and_off_in_eval():
    model = ClipClassifier(nn.Identity(), channels=3, num_classes=2, dropout=1.0)
    clip = torch.ones(1, 3, 2, 2, 2)

    assert not model.train()(clip).any()
    assert model.eval()(clip).all()


def test_the_classifier_starts_near_zero():
    classifier = ClipClassifier(nn.Identity(), channels=100, num_classes=1000).classifier

    assert classifier.weight.std().item() == pytest.approx(0.01, rel=0.05)
    assert classifier.bias.count_nonzero() == 0
