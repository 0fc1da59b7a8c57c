import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from pipeline.models import probe

FRAMES = 4
NETWORK = {"backbone": "resnet10t", "backbone_options": {"stem_width": 8, "channels": [8, 8, 8, 16]}, "frames": FRAMES}


@pytest.fixture
def network() -> probe.Probe:
    torch.manual_seed(0)
    return probe.build(3, **NETWORK, rows=1, columns=2).eval()


def test_features_are_means_and_changes_of_the_last_two_maps(network):
    clip = torch.rand(2, 3, FRAMES, 64, 96)
    found = network.features(clip).split(list(network.sizes), dim=1)
    assert [part.shape[1] for part in found] == [8 * 2, 8 * 2 * 3, 16 * 2, 16 * 2 * 3]
    for video in range(2):
        maps = network.backbone.forward_intermediates(clip[video].transpose(0, 1), indices=2, intermediates_only=True)
        for scale, (means, changes) in zip(maps, (found[:2], found[2:]), strict=True):
            cells = F.adaptive_avg_pool2d(scale, (1, 2)).flatten(1).detach().numpy()  # (T, A)
            np.testing.assert_allclose(means[video].detach(), cells.mean(axis=0), atol=1e-6)
            for k in range(1, FRAMES):
                wave = [math.cos(math.pi * (t + 0.5) * k / FRAMES) * math.sqrt(2 / FRAMES) for t in range(FRAMES)]
                expected = sum(wave[t] * cells[t] for t in range(FRAMES)) / (1 + k)
                np.testing.assert_allclose(changes[video].detach().unflatten(0, (3, -1))[k - 1], expected, atol=1e-5)


def test_a_still_clip_changes_nothing_and_a_reversed_one_the_odd_terms(network):
    still = torch.rand(1, 3, 1, 64, 64).expand(1, 3, FRAMES, 64, 64)
    clip = torch.rand(1, 3, FRAMES, 64, 64)
    assert network.features(still).split(list(network.sizes), dim=1)[3].abs().max() < 1e-5
    forward, backward = (network.features(c).split(list(network.sizes), dim=1) for c in (clip, clip.flip(2)))
    torch.testing.assert_close(forward[2], backward[2])
    terms, reversed_terms = forward[3].unflatten(1, (3, -1)), backward[3].unflatten(1, (3, -1))
    torch.testing.assert_close(terms[:, 1], reversed_terms[:, 1], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(terms[:, [0, 2]], -reversed_terms[:, [0, 2]], atol=1e-5, rtol=1e-4)


def test_the_frozen_network_has_no_gradient_and_stays_in_eval_mode(network):
    before = {name: value.clone() for name, value in network.backbone.state_dict().items()}
    network.train()(torch.rand(2, 3, FRAMES, 64, 64)).sum().backward()
    assert not any(module.training for module in network.backbone.modules())
    assert all(parameter.grad is None for parameter in network.backbone.parameters())
    assert network.classifier.weight.grad is not None
    assert all(torch.equal(value, before[name]) for name, value in network.backbone.state_dict().items())


def test_a_clip_of_other_frames_and_options_that_cannot_be_are_refused(network):
    with pytest.raises(ValueError, match=r"6 frames.*built for 4"):
        network(torch.rand(1, 3, 6, 64, 64))
    with pytest.raises(ValueError, match="frames=1"):
        probe.build(3, **NETWORK | {"frames": 1})
