"""The built-in corpus: small generated clips with labels that need appearance and motion."""
