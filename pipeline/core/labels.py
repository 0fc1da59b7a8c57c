"""Labels as the manifest and the prediction files have them: texts such as `run;jump;?swim` -> numbers of classes.

A name behind `?` is of a class of which nobody knows whether the video shows it; what is not named is absent.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from pipeline.core.errors import UserError
from pipeline.core.names import LABEL_SEPARATOR, NO_CLASS, UNKNOWN


def shown(text: str) -> tuple[str, ...]:
    """The names of the classes that a video shows; ("",) where it shows none."""
    return tuple(name for name in text.split(LABEL_SEPARATOR) if not name.startswith(UNKNOWN)) or ("",)


def hidden(text: str) -> tuple[str, ...]:
    """The names of the classes of which nobody knows whether the video shows them."""
    return tuple(name[len(UNKNOWN) :] for name in text.split(LABEL_SEPARATOR) if name.startswith(UNKNOWN))


def many_hot(texts: pd.Series, classes: Sequence[str]) -> np.ndarray:
    """1 for each label of V texts, -1 where one is not known, else 0: int8 (V, C).

    Raises:
        UserError: no class has the name of a label.
    """
    targets = np.zeros((len(texts), len(classes)), dtype=np.int8)
    for value, (row, column) in ((1, pairs(texts, classes)), (-1, unknown_pairs(texts, classes))):
        if (column < 0).any():  # which would be the last class
            strange = texts[row[column < 0][0]]
            raise UserError(
                f"The labels {strange!r} are not all of the {len(classes)} classes. `dvc repro` makes the file anew."
            )
        targets[row, column] = value
    return targets


def pairs(texts: pd.Series, classes: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the text and of the class of all labels, int (L,) each; -1 where no class has the label's name."""
    row, names = _exploded(texts[~texts.isin(["", NO_CLASS])])
    if texts.str.contains(UNKNOWN, regex=False).any():
        known = ~names.str.startswith(UNKNOWN).astype(bool)
        row, names = row[known], names[known]
    return row, pd.Index(classes).get_indexer(names)


def unknown_pairs(texts: pd.Series, classes: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """The same of all labels that are not known."""
    row, names = _exploded(texts[texts.str.contains(UNKNOWN, regex=False)])
    unknown = names.str.startswith(UNKNOWN).astype(bool)
    return row[unknown], pd.Index(classes).get_indexer(names[unknown].str.removeprefix(UNKNOWN))


def _exploded(texts: pd.Series) -> tuple[np.ndarray, pd.Index]:
    """The number of the text of each name, and the names."""
    found = texts.str.split(LABEL_SEPARATOR).explode()
    return found.index.to_numpy(dtype=np.int64), pd.Index(found.to_numpy(dtype=object))
