"""Runs side by side: what was changed between them, and what came of it, with paired intervals."""
