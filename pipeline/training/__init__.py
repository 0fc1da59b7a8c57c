"""One model, trained: from batches to the best weights."""
