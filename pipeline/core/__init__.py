"""What every stage stands on: settings, files, tables, the manifest. No PyTorch in it."""
