"""Frames on disk -> batches of clips."""
