"""Sizes that several packages know."""

LINEAR_VIDEOS = 20_000
"""Most train videos that a linear layer is fitted to: each two are compared, in some seven square matrices (22 GB)."""
