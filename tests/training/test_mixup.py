"""mixup and cutmix on clips whose every pixel is the clip's number, so that shares can be read off."""

import pytest
import torch

from pipeline.training.mixup import MixConfig, mix


def batch(videos: int = 4, classes: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    clips = torch.arange(float(videos)).view(-1, 1, 1, 1, 1).expand(-1, 3, 2, 8, 8).clone()
    targets = torch.zeros(videos, classes)
    for video in range(videos):
        targets[video, [video, (video + 1) % classes]] = 1  # two classes each
    return clips, targets


def test_off_by_default():
    clips, targets = batch()
    same, labels = mix(clips, targets, MixConfig())
    assert same is clips
    assert labels is targets


def test_mixup_blends_pixels_and_labels_in_the_same_shares():
    torch.manual_seed(0)
    clips, targets = batch()
    mixed, labels = mix(clips, targets, MixConfig(mixup=1.0))
    share = float((mixed[1] - clips[0]).mean() / (clips[1] - clips[0]).mean())  # of the clip itself
    assert 0 < share < 1
    for video in range(4):
        expected = share * targets[video] + (1 - share) * targets[video - 1]
        torch.testing.assert_close(labels[video], expected)
        torch.testing.assert_close(mixed[video], share * clips[video] + (1 - share) * clips[video - 1])


def test_cutmix_shares_labels_by_the_area_and_cuts_all_frames_alike():
    torch.manual_seed(1)
    clips, targets = batch()
    mixed, labels = mix(clips, targets, MixConfig(cutmix=1.0))
    own = (mixed[1, 0, 0] == 1).float().mean().item()
    assert 0 < own < 1
    assert (mixed[1] == mixed[1, :1, :1]).all()
    torch.testing.assert_close(labels[1], own * targets[1] + (1 - own) * targets[0])


def test_with_both_each_batch_takes_one():
    clips, targets = batch()
    whole = set()
    for seed in range(20):
        torch.manual_seed(seed)
        mixed, _ = mix(clips, targets, MixConfig(mixup=1.0, cutmix=1.0))
        whole.add(bool((mixed == mixed.round()).all()))  # cutmix leaves every pixel a whole number
    assert whole == {True, False}


def test_a_seed_gives_the_same_blend():
    clips, targets = batch()
    results = []
    for _ in range(2):
        torch.manual_seed(3)
        results.append(mix(clips, targets, MixConfig(mixup=0.4, cutmix=1.0)))
    assert torch.equal(results[0][0], results[1][0])
    assert torch.equal(results[0][1], results[1][1])


def test_a_negative_parameter_is_refused():
    with pytest.raises(ValueError, match="mixup and cutmix"):
        MixConfig(mixup=-1.0)


def test_a_blend_with_a_label_that_is_not_known_is_not_known():
    torch.manual_seed(0)
    clips, targets = batch()
    targets[1, 3] = -1
    _, labels = mix(clips, targets, MixConfig(mixup=1.0))
    unknown = torch.zeros(4, 5, dtype=torch.bool)
    unknown[[1, 2], 3] = True  # its own, and that of the clip which is blended with it
    assert (labels[unknown] == -1).all()
    assert (labels[~unknown] >= 0).all()
