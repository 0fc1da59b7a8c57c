"""Corpora, an open set: pipeline/datasets/<name>.py is what `dataset.format: <name>` in conf/ means.

A format's file offers one function:

    read(config)    a `DatasetConfig` -> the `Manifest` of the corpus, validated, with the class names

It reads the annotations and looks at the files, and decodes nothing: a video that is missing is a row with the
fingerprint `MISSING`. What is wrong with the annotations is a UserError with the file and the line. `_rows.py` makes
the manifest, with splits and groups, from rows of any annotations.
"""
