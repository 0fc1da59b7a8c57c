import math

import pytest
import torch

from pipeline.layers.attentive import AttentivePool


@pytest.fixture
def pool() -> AttentivePool:
    torch.manual_seed(0)
    made = AttentivePool(tokens=3, features=5, width=4, heads=2)
    with torch.no_grad():
        made.places.normal_()
    return made.eval()


def test_it_is_the_attention_of_one_query_head_by_head(pool):
    tokens = torch.randn(2, 3, 5)
    with torch.no_grad():
        found = pool(tokens)
        for clip, pooled in zip(tokens, found, strict=True):
            seen = [pool.project(pool.norm(token)) + place for token, place in zip(clip, pool.places, strict=True)]
            gathered = []
            for head in (slice(0, 2), slice(2, 4)):
                asked = pool.asks(pool.query[0])[head]
                scores = [math.exp(float(asked @ pool.keys(token)[head]) / math.sqrt(2)) for token in seen]
                values = [pool.values(token)[head] for token in seen]
                gathered.append(sum(s / sum(scores) * v for s, v in zip(scores, values, strict=True)))
            expected = pool.query[0] + pool.out(torch.cat(gathered))
            expected = expected + pool.mlp(expected)
            torch.testing.assert_close(pooled, expected, rtol=1e-4, atol=1e-5)


def test_the_order_of_tokens_matters_by_their_places_alone(pool):
    tokens = torch.randn(2, 3, 5)
    with torch.no_grad():
        assert not torch.allclose(pool(tokens), pool(tokens.flip(1)), atol=1e-3)
        pool.places.zero_()
        torch.testing.assert_close(pool(tokens), pool(tokens.flip(1)))
