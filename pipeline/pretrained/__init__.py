"""Pretrained weights: checkpoints of other projects -> the weights of a model here."""
