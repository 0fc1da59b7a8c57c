"""What the long jobs share: processes, checkpoints, signals, progress."""
