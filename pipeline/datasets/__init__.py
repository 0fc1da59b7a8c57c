"""Open set: one annotation format a file, `read(root, config)` -> (records, class names)."""
