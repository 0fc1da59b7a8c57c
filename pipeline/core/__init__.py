"""Foundation of every stage: settings, files, tables, the manifest. It does not import PyTorch."""
