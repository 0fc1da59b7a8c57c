"""Open set: one loss a file, `build(statistics, **options)` -> a function of (logits, targets)."""
