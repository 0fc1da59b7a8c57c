"""The commands: `pipeline COMMAND`, or `python -m pipeline COMMAND`."""
