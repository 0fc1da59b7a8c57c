"""Checkpoints from elsewhere -> the weights of a model here."""
