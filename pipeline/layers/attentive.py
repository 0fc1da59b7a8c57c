"""Attentive pooling: a learned query looks at all tokens of a clip and takes what it asks for.

It is the head by which frozen encoders are judged, as in V-JEPA (arXiv:2404.08471, section 3.3) and V-JEPA 2: a mean
weighs all tokens alike, and the query those that matter.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

RATIO = 4
"""Hidden units of the MLP for each of its inputs."""


class AttentivePool(nn.Module):
    """Cross-attention of one learned query, and an MLP, each beside a shortcut.

    Shape: tokens (N, L, D) -> (N, `width`). Each place has a learned embedding, zero at the start, so that the order of
    tokens can matter.

    Args:
        tokens: L.
        features: D.
        width: numbers that a token is projected to.
        heads: of the attention; a divisor of `width`.
    """

    def __init__(self, tokens: int, features: int, width: int, heads: int) -> None:
        super().__init__()
        self.attention_heads = heads  # `heads` is an option of networks, with which weights are compared
        self.norm, self.project = nn.LayerNorm(features), nn.Linear(features, width)
        self.places = nn.Parameter(torch.zeros(tokens, width))
        self.query = nn.Parameter(torch.randn(1, width) * 0.02)
        self.asks, self.keys, self.values = (nn.Linear(width, width) for _ in range(3))
        self.out = nn.Linear(width, width)
        self.mlp = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, RATIO * width), nn.GELU(), nn.Linear(RATIO * width, width)
        )

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens (N, L, D) -> (N, `width`)."""
        seen = self.project(self.norm(tokens)) + self.places
        of_heads = (*seen.shape[:2], self.attention_heads, seen.shape[2] // self.attention_heads)  # N may be 0
        asked = self.asks(self.query).view(1, self.attention_heads, 1, -1).expand(tokens.shape[0], -1, -1, -1)
        keys, values = (layer(seen).view(of_heads).transpose(1, 2) for layer in (self.keys, self.values))
        found = self.query + self.out(F.scaled_dot_product_attention(asked, keys, values).flatten(1))
        pooled: Tensor = found + self.mlp(found)
        return pooled
