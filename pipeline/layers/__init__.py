"""Parts that several models share. A layer knows shapes and numbers, never a model's or a corpus' name."""
