"""The audio CNN against timm's own network of one channel."""

import pytest
import timm
import torch

from pipeline.models import audio_cnn
from tests.support import checks


def test_its_logits_are_those_of_timms_network_with_the_same_weights():
    ours, theirs = audio_cnn.build(7).eval(), timm.create_model("resnet18", in_chans=1, num_classes=7).eval()
    renamed = {name.replace("fc.", "classifier."): value for name, value in theirs.state_dict().items()}
    ours.load_state_dict({name if "class" in name else f"backbone.{name}": x for name, x in renamed.items()})
    spectrograms = torch.randn(2, 1, 64, 301)
    with torch.inference_mode():
        assert torch.equal(ours(spectrograms), theirs(spectrograms))


def test_masks_are_drawn_in_training_alone():
    model = audio_cnn.build(3, **checks.TINY_2D, dropout=0.0, mask_bands=0.5, mask_time=0.5)
    spectrograms = torch.randn(2, 1, 64, 40)
    model.eval()
    assert torch.equal(model(spectrograms), model(spectrograms))
    for norm in (module for module in model.train().modules() if isinstance(module, torch.nn.BatchNorm2d)):
        norm.eval()
    torch.manual_seed(0)
    assert not torch.equal(model(spectrograms), model(spectrograms))


def test_a_share_that_is_none_is_refused():
    with pytest.raises(ValueError, match="mask_time=2 are shares"):
        audio_cnn.build(3, **checks.TINY_2D, mask_time=2)


def test_the_network_sees_the_means_of_neighbouring_windows_the_last_of_what_is_left():
    torch.manual_seed(0)
    plain = audio_cnn.build(3, **checks.TINY_2D).eval()
    pooled = audio_cnn.build(3, **checks.TINY_2D, pool_time=4).eval()
    pooled.load_state_dict(plain.state_dict())
    spectrograms = torch.randn(2, 1, 64, 81)
    means = torch.cat([spectrograms[..., :80].reshape(2, 1, 64, 20, 4).mean(-1), spectrograms[..., 80:]], dim=-1)
    with torch.inference_mode():
        torch.testing.assert_close(pooled(spectrograms), plain(means), rtol=0, atol=1e-6)
        assert pooled(spectrograms[..., :3]).shape == (2, 3), "a sound may be shorter than a column"


def test_a_number_of_windows_that_is_none_is_refused():
    with pytest.raises(ValueError, match="pool_time=0 is a number of windows"):
        audio_cnn.build(3, **checks.TINY_2D, pool_time=0)
