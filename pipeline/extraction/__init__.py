"""Video files -> frames on disk."""
