"""NonLocal against loops over positions and the two public forms."""

import itertools
import math

import pytest
import torch
from torch import Tensor
from torch.nn.functional import max_pool3d

from pipeline.layers.non_local import POOLS, WEIGHTINGS, NonLocal
from tests.support.golden import golden_io, keys

FORMS = list(itertools.product(WEIGHTINGS, POOLS))


def filled(channels: int = 4, **options: object) -> NonLocal:
    """A block with arbitrary but fixed weights, in eval mode."""
    block = NonLocal(channels, **options)
    golden_io.fill(block)
    return block.eval()


def gathered_by_loop(block: NonLocal, clip: Tensor, weighting: str, pool: str) -> Tensor:
    """y of one clip (C, T, H, W), position by position: (C/2, T, H, W)."""

    def halved(x: Tensor) -> Tensor:
        return max_pool3d(x, (1, 2, 2))

    seen = halved(clip) if pool == "before" else clip
    phi, g = (layer(seen.unsqueeze(0))[0] for layer in (block.phi, block.g))
    if pool == "after":
        phi, g = halved(phi), halved(g)
    theta, phi, g = block.theta(clip.unsqueeze(0))[0].flatten(1), phi.flatten(1), g.flatten(1)
    out = torch.zeros_like(theta)
    for p in range(theta.shape[1]):
        products = [theta[:, p].dot(phi[:, q]).item() for q in range(phi.shape[1])]
        if weighting == "dot_product":
            weights = [product / len(products) for product in products]
        else:
            root = math.sqrt(len(theta)) if weighting == "scaled_softmax" else 1
            powers = [math.exp(product / root) for product in products]
            weights = [power / sum(powers) for power in powers]
        out[:, p] = sum(weight * g[:, q] for q, weight in enumerate(weights))
    return out.unflatten(1, clip.shape[1:])


@pytest.mark.parametrize(("weighting", "pool"), FORMS)
def test_equals_the_definition(weighting: str, pool: str):
    block = filled(weighting=weighting, pool=pool)
    clips = golden_io.make_input((2, 4, 2, 4, 6))

    with torch.no_grad():
        y = torch.stack([gathered_by_loop(block, clip, weighting, pool) for clip in clips])
        expected = clips + block.bn(block.out(y))
        torch.testing.assert_close(block(clips), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "rules", "options"),
    [
        ("nonlocal3d_embedded_gaussian_sub", keys.X_TEMPORAL_NON_LOCAL, {}),
        ("psf_nonlocal_softmax", keys.PYSLOWFAST_NON_LOCAL, {"weighting": "scaled_softmax", "pool": "before"}),
    ],
)
def test_equals_the_public_forms(name: str, rules: keys.Rules, options: dict[str, str]):
    keys.assert_logits_match(NonLocal(32, **options), name, keys.weights(name, rules))


def test_frames_as_images_are_the_clips_that_they_belong_to():
    clips = golden_io.make_input((2, 4, 3, 4, 4))
    images = clips.transpose(1, 2).flatten(0, 1)

    expected = filled()(clips).transpose(1, 2).flatten(0, 1)

    torch.testing.assert_close(filled(frames=3)(images), expected)


def test_a_new_block_changes_nothing_and_begins_to_learn():
    block = NonLocal(4)
    clips = golden_io.make_input((2, 4, 2, 4, 4))

    out = block(clips)
    (out * golden_io.make_input(out.shape, seed=99)).sum().backward()

    assert torch.equal(out, clips)
    assert block.bn.weight.grad.all()


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_gradients_are_exact(weighting: str):
    block = filled(channels=2, weighting=weighting).double()
    clips = golden_io.make_input((1, 2, 2, 2, 2)).double().requires_grad_()

    assert torch.autograd.gradcheck(block, clips)


def test_dot_products_make_no_matrix_of_pairs():
    block = filled(weighting="dot_product", pool="none")
    clips = torch.empty(1, 4, 64, 512, 512, device="meta")  # its pairs of positions would overflow a size

    assert block.to("meta")(clips).shape == clips.shape


@pytest.mark.slow
@pytest.mark.parametrize(
    ("weighting", "pool"),
    [pytest.param(*form, marks=() if number % 4 == 0 else pytest.mark.nightly) for number, form in enumerate(FORMS)],
)  # in the gate each weighting and each pool once
def test_compiles_whole_for_any_batch(weighting: str, pool: str):
    torch.compiler.reset()  # each form is a recompilation of the same code, and there is a limit of these
    block = filled(weighting=weighting, pool=pool, frames=2)
    compiled = torch.compile(block, fullgraph=True, backend="aot_eager")

    for clips in (1, 3):
        x = golden_io.make_input((2 * clips, 4, 4, 4))
        torch.testing.assert_close(compiled(x), block(x))


@pytest.mark.parametrize(
    ("options", "wrong"),
    [({"weighting": "sigmoid"}, "'sigmoid'"), ({"pool": "twice"}, "'twice'"), ({"channels": 1}, "channels=1")],
)
def test_an_impossible_block_is_refused(options: dict[str, object], wrong: str):
    with pytest.raises(ValueError, match=wrong):
        NonLocal(**({"channels": 4} | options))
