"""Cross-validation of a small corpus: grouped, stratified folds -> a held-out prediction for every video."""
