"""A trained model -> scores of every view of every val and test video."""
