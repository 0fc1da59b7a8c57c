"""Optical flow: packed frames, or folders of another program's flow -> shards of flow, for models that take it."""
