"""The image of sound as a graph has it, against the one that networks are trained on."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from pipeline.export.spectrogram import HeardNetwork, LogMel, SoundGraph
from pipeline.layers.log_mel import MelSpec, log_mel
from pipeline.models import ast, audio_cnn
from tests.layers.test_log_mel import KALDI, SMALL, kaldi_by_loop, log_mel_by_loop

SPECS = {
    "audio_cnn": audio_cnn.INPUT,
    "ast": ast.INPUT,
    "ast, cut": MelSpec.kaldi(32, 40, -3.0, 4.0),
    "filled up": replace(audio_cnn.INPUT, columns=120),
}


def sounds(samples: int) -> torch.Tensor:
    """Noise that is loud, soft and very soft, and silence."""
    noise = torch.randint(-(2**15), 2**15, (4, samples), generator=torch.Generator().manual_seed(0))
    return (noise * torch.tensor([[1.0], [0.1], [0.001], [0.0]])).to(torch.int16)


@pytest.mark.parametrize("samples", [16_000, 16_159])
@pytest.mark.parametrize("name", SPECS)
def test_it_is_the_image_that_networks_are_trained_on(name, samples):
    spec, heard = SPECS[name], sounds(samples)
    found = LogMel(spec, samples)(heard)
    assert found.dtype == torch.float32
    assert found.shape == (4, 1, spec.mels, spec.frames(samples))
    torch.testing.assert_close(found, log_mel(heard, spec), rtol=0, atol=1e-3)


@pytest.mark.parametrize(("spec", "loop"), [(SMALL, log_mel_by_loop), (KALDI, kaldi_by_loop)])
def test_it_is_the_image_of_the_formula(spec, loop):
    heard = sounds(205)
    for sound, image in zip(heard.numpy(), LogMel(spec, 205)(heard), strict=True):
        np.testing.assert_allclose(image[0].numpy(), loop(sound, spec), rtol=1e-5, atol=1e-5)


def test_a_graph_and_what_it_is_held_to_get_the_same_sounds():
    network, heard = torch.nn.AdaptiveAvgPool2d(1), sounds(6_400)
    graph = SoundGraph(network, audio_cnn.INPUT, 6_400)(heard)
    torch.testing.assert_close(graph, HeardNetwork(network, audio_cnn.INPUT)(heard), rtol=0, atol=1e-4)
    assert graph.std() > 0.1
