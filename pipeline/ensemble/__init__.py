"""Prediction files -> the members' weights, the fused files, and the figures."""
