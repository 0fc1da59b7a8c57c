"""Rows of a classifier, which go by the names of the classes where the file has them.

Two corpora may have as many classes in another order, and a corpus to which classes are added has them in a new one:
rows that went by their number would then stand for other classes, without an error.
"""

from collections.abc import Mapping, Sequence

from torch import Tensor

from pipeline.pretrained import infer_config

NAMED = 5
"""Number of classes that a text names."""


def strangers(theirs: Sequence[str], ours: Sequence[str]) -> bool:
    """Whether both name their classes and share none."""
    return bool(theirs and ours) and not {*theirs} & {*ours}


def arrange(
    tensors: Mapping[str, Tensor], target: Mapping[str, Tensor], theirs: Sequence[str], ours: Sequence[str]
) -> dict[str, Tensor]:
    """The tensors, those of classifiers with the rows of the model's classes, in the model's order.

    Args:
        tensors: of the file, under this project's names.
        target: of the model; classes that the file lacks have its rows, which are at their start.
        theirs: the classes of the file; where it names none, all stays as it is.
        ours: the classes of the model; where nobody names them, all stays as it is.
    """
    arranged = dict(tensors)
    if not (theirs and ours) or strangers(theirs, ours):
        return arranged
    at = {name: row for row, name in enumerate(theirs)}
    pairs = [(row, at[name]) for row, name in enumerate(ours) if name in at]
    for name, tensor in tensors.items():
        start = target.get(name)
        fits = infer_config.is_classifier(name) and tensor.ndim and len(tensor) == len(theirs)
        if fits and start is not None and start.shape == (len(ours), *tensor.shape[1:]):
            arranged[name] = start.clone().to(tensor.dtype)
            for row, other in pairs:
                arranged[name][row] = tensor[other]
    return arranged


def in_words(theirs: Sequence[str], ours: Sequence[str], loaded: bool) -> str:
    """What became of the classes; nothing where that needs no word.

    Args:
        theirs: the classes of the file, if it names them.
        ours: the classes of the model, if they are named.
        loaded: whether the classifier was loaded.
    """
    if not (ours and loaded) or list(theirs) == list(ours):
        return ""
    if not theirs:
        return "the file names no classes: they are taken to be the model's, in the model's order"
    new, gone = ([name for name in some if name not in {*others}] for some, others in ((ours, theirs), (theirs, ours)))
    told = [f"{len(ours) - len(new)} of {len(ours)} classes by their names"]
    told += [f"new, and at their start: {_some(new)}"] if new else []
    told += [f"in the file alone: {_some(gone)}"] if gone else []
    return "; ".join(told)


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(map(repr, names[:NAMED])) + more
