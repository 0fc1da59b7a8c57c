"""The prediction files that people open, and scores of other programs made into such files."""
