"""Corpora, an open set: pipeline/datasets/<name>.py is what `dataset.format: <name>` in conf/ means.

A format's file offers one function:

    read(config)    a `DatasetConfig` -> the `Manifest` of the corpus, validated, with the class names

It reads the annotations, and no video: stage `index` looks at the files, and one that is missing does not matter here.
What is wrong with the annotations is a UserError with the file and the line. `_annotations.py` reads texts, CSVs and
class files; `_rows.py` makes the manifest, with splits and groups, from rows of any annotations; `_published.py` finds
the clips of public corpora, whose lists name them by an id.
"""
