"""Layers that several models share. A layer knows shapes and numbers, never the name of a model or a corpus."""
