"""One thin script per stage of dvc.yaml: read a section, call one function, say what came of it."""
