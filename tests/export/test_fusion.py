"""The fusion as a network: the answers of the prediction files' and the ensemble's own code."""

import numpy as np
import pytest
import torch

from pipeline.core.errors import UserError
from pipeline.core.task import MULTI_LABEL, SINGLE_LABEL
from pipeline.ensemble import averaging
from pipeline.export.fusion import Fusion
from pipeline.predictions.view_scores import ViewScores


def by_the_stages(logits, weights, mean, task):
    """What `infer` and `ensemble` make of stored logits."""
    grids = [{"protocols": {"dense": list(range(own.shape[1]))}} for own in logits]
    tables = [ViewScores(own, grid, task).probabilities("dense") for own, grid in zip(logits, grids, strict=True)]
    return averaging.fuse(averaging.scale(np.stack(tables), mean, task), weights, mean, task)


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
