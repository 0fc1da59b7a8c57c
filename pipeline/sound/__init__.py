"""Video files -> sound on disk."""
