"""The fusion as a network: the answers of the prediction files' and the ensemble's own code."""

from itertools import product

import numpy as np
import pytest
import torch

from pipeline.core.errors import UserError
from pipeline.core.task import MULTI_LABEL, SINGLE_LABEL
from pipeline.ensemble import averaging
from pipeline.export.fusion import Fusion
from pipeline.predictions.view_scores import ViewScores


def by_the_stages(logits, weights, mean, task, sees=None):
    """What `infer` and `ensemble` make of stored logits."""
    grids = [{"protocols": {"dense": list(range(own.shape[1]))}} for own in logits]
    tables = [ViewScores(own, grid, task).probabilities("dense") for own, grid in zip(logits, grids, strict=True)]
    return averaging.fuse(averaging.scale(np.stack(tables), mean, task), weights, mean, task, sees=sees)


@pytest.mark.parametrize("task", [MULTI_LABEL, SINGLE_LABEL])
@pytest.mark.parametrize("mean", ["probability", "logit"])
@pytest.mark.parametrize("spread", [1, 30], ids=["torn", "sure"])
def test_it_computes_what_the_stages_do(task, mean, spread):
    rng = np.random.default_rng(0)
    logits = [(spread * rng.normal(size=(5, views, 4))).astype(np.float16) for views in (1, 3, 6)]
    weights = rng.dirichlet(np.ones(3), size=4).T
    wanted = by_the_stages(logits, weights, mean, task)

    found = Fusion(weights, mean, task)(*(torch.tensor(own.astype(np.float32)) for own in logits))

    np.testing.assert_allclose(found.numpy(), wanted, rtol=0, atol=1e-6)
    assert found.dtype == torch.float32


def test_ranks_are_refused_with_the_reason():
    with pytest.raises(UserError, match=r"'rank', which .* nearly tie, .* Set ensemble\.mean to probability or logit"):
        Fusion(np.ones((2, 3)), "rank", MULTI_LABEL)


@pytest.mark.parametrize("task", [MULTI_LABEL, SINGLE_LABEL])
@pytest.mark.parametrize("mean", ["probability", "logit"])
def test_members_that_do_not_see_a_video_are_left_out_as_the_stages_do(task, mean):
    rng = np.random.default_rng(0)
    sees = np.array(list(product([False, True], repeat=3)))  # videos, members
    logits = [rng.normal(size=(8, views, 4)).astype(np.float16) for views in (1, 3, 6)]
    weights = rng.dirichlet(np.ones(3), size=4).T
    weights[:2, 0], weights[2, 0] = 0, 1  # a class of which the third member alone knows
    wanted = by_the_stages(logits, weights, mean, task, sees.T)
    others = [np.where(sees[:, [m], None], own, 9.0) for m, own in enumerate(logits)]  # what is not looked at
    others[0][0], others[1][0], others[2][0] = (own[0] for own in logits)  # but where nobody sees

    found = Fusion(weights, mean, task, partial=True)(
        torch.from_numpy(sees), *(torch.tensor(own.astype(np.float32)) for own in others)
    )

    np.testing.assert_allclose(found.numpy(), wanted, rtol=0, atol=1e-6)
    whole = Fusion(weights, mean, task)(*(torch.tensor(own.astype(np.float32)) for own in logits))
    assert torch.equal(found[-1], whole[-1])
    assert np.abs(found.numpy() - whole.numpy())[1:-1].max() > 0.01
