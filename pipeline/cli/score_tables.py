"""What `pipeline scores` says of prediction files: summaries, tables, and protocols recomputed from the views."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import chance, metrics, verdict
from pipeline.comparison import paired
from pipeline.core import params
from pipeline.core.errors import UserError
from pipeline.core.labels import hidden, shown
from pipeline.core.markdown import text_table
from pipeline.core.names import LABEL_SEPARATOR
from pipeline.core.task import SINGLE_LABEL
from pipeline.predictions.table import PredictionTable, check_rows
from pipeline.predictions.view_scores import ViewScores

KEYS = ("clips", "clip", "side", "size", "crop")
"""What views are chosen by."""


def summary(table: PredictionTable) -> str:
    """What a file holds, and the figures."""
    meta, broken = table.meta, int(table.broken.sum())
    lines = [
        f"model      {meta.get('model', 'unknown')}, protocol {meta.get('protocol', 'unknown')}",
        f"videos     {len(table.videos)}, of which {broken} are broken and hold the prior",
        f"unseen     {table.unseen.sum()} more, in which the model has nothing to look at",
        f"classes    {len(table.classes)}",
    ]
    if not table.unseen.any():
        del lines[2]
    if not table.labelled:
        return "\n".join([*lines, "labels     not for every video, so there are no figures"])
    figures = metrics.summary(table.probabilities, table.targets(), broken, table.task)
    random = chance.random_answers(table.task, table.targets())
    told = {n: v for n, v in figures.items() if not n.startswith("n_") and metrics.tells(n, len(table.classes))}
    shown = ", ".join(f"{name} {value:.2f}" for name, value in told.items())
    return "\n".join([*lines, f"percent    {shown}", f"{metrics.TITLE[table.task]}: {verdict.chance_words(random)}"])


def extremes(table: PredictionTable, top: int) -> list[str]:
    """Tables of the best and worst videos and classes by average precision; of no labels, nothing."""
    if not table.labelled:
        return []
    by_video, by_class = _precisions(table)
    counts = (table.targets() > 0).sum(axis=0)
    lines = []
    for title, order in _ends(by_video, top):
        rows = [[table.videos[v], _percent(by_video[v]), table.labels[v], _top_of(table, v, 3)] for v in order]
        lines += ["", f"{title} videos", *text_table(["video", "AP", "labels", "top classes"], rows)]
    for title, order in _ends(by_class, top):
        rows = [[table.classes[c], _percent(by_class[c]), str(counts[c])] for c in order]
        lines += ["", f"{title} classes", *text_table(["class", "AP", "videos"], rows)]
    return lines


def video(table: PredictionTable, name: str, top: int) -> str:
    """The top classes of a video, and every label of it, by rank."""
    row = _position(table.videos, name, "video")
    scores, labels = table.probabilities[row], set(filter(None, shown(table.labels[row])))
    unknown = set(hidden(table.labels[row]))
    order = np.argsort(-scores, kind="stable").tolist()
    listed = [c for rank, c in enumerate(order) if rank < top or table.classes[c] in labels]
    rank = {c: place + 1 for place, c in enumerate(order)}
    said = dict.fromkeys(labels, "yes") | dict.fromkeys(unknown, "unknown")
    rows = [[table.classes[c], f"{rank[c]}", f"{scores[c]:.4f}", said.get(table.classes[c], "")] for c in listed]
    state = "ok"
    if not table.seen[row]:
        state = f"{'broken' if table.broken[row] else 'unseen by this model'}: the class prior"
    found = ""
    if labels:
        found = f", AP {_percent(metrics.average_precision(scores[None], table.targets()[row][None])[0])}"
    head = f"{name}: {state}, labels {table.labels[row].strip(LABEL_SEPARATOR) or 'none'}{found}"
    return "\n".join([head, *text_table(["class", "rank", "score", "label"], rows)])


def of_class(table: PredictionTable, name: str, top: int) -> str:
    """Where a class is found best, where it is missed, and where it is seen though nobody labelled it.

    Where each video has one label, missed are only the class' videos that are answered otherwise, and false alarms only
    other videos that are answered with it.
    """
    column = _position(table.classes, name, "class")
    scores, targets = table.probabilities[:, column], table.targets()[:, column]
    order = np.argsort(-scores, kind="stable")
    lines = [f"{name}: {int((targets > 0).sum())} of {int((targets >= 0).sum())} videos"]
    if (targets > 0).any():
        lines[0] += f", AP {_percent(metrics.class_average_precision(scores[:, None], targets[:, None])[0])}"
    found, alarms = order[targets[order] > 0], order[targets[order] == 0]
    missed = found[::-1]
    if table.task == SINGLE_LABEL:
        answered = table.probabilities.argmax(axis=1) == column
        missed, alarms = missed[~answered[missed]], alarms[answered[alarms]]
    for title, rows in (("best", found), ("missed", missed), ("false alarms", alarms)):
        cells = [[table.videos[v], f"{scores[v]:.4f}", table.labels[v]] for v in rows[:top]]
        lines += ["", title, *text_table(["video", "score", "labels"], cells)]
    return "\n".join(lines)


def compared(one: PredictionTable, other: PredictionTable, top: int) -> str:
    """The videos and classes on which two models are furthest apart (mean absolute difference of the scores)."""
    if (one.videos, one.classes, one.labels) != (other.videos, other.classes, other.labels):
        raise UserError("The files speak of other videos, classes or labels, so they cannot be compared.")
    names = [str(table.meta.get("model", letter)) for table, letter in zip((one, other), "AB", strict=True)]
    apart = np.abs(one.probabilities - other.probabilities)
    correlation = np.corrcoef(one.probabilities.ravel(), other.probabilities.ravel())[0, 1]
    (video_a, class_a), (video_b, class_b) = _precisions(one), _precisions(other)
    lines = [f"{names[0]} against {names[1]}: mean difference {apart.mean():.4f}, correlation {correlation:.4f}"]
    if one.labelled:
        shares = [metrics.per_video(table.task, table.probabilities, table.targets()) for table in (one, other)]
        gain = paired.of_means(*shares)
        lines += [
            (
                f"{metrics.TITLE[one.task]} {100 * shares[0].mean():.2f} against {100 * shares[1].mean():.2f}: "
                f"{gain.value:+z.2f}, 95 %: {gain.low:+z.2f} to {gain.high:+z.2f}"
            )
        ]
    heads, tops = [f"AP {name}" for name in names], [f"top of {name}" for name in names]
    rows = [
        [one.videos[v], f"{apart[v].mean():.4f}", _percent(video_a[v]), _percent(video_b[v]), one.labels[v],
         _top_of(one, v, 2), _top_of(other, v, 2)]
        for v in np.argsort(-apart.mean(axis=1), kind="stable")[:top]
    ]  # fmt: skip
    lines += ["", "videos", *text_table(["video", "difference", *heads, "labels", *tops], rows)]
    rows = [
        [one.classes[c], f"{apart[:, c].mean():.4f}", _percent(class_a[c]), _percent(class_b[c])]
        for c in np.argsort(-apart.mean(axis=0), kind="stable")[:top]
    ]
    return "\n".join([*lines, "", "classes", *text_table(["class", "difference", *heads], rows)])


def under(folder: Path, split: str, protocol: str) -> PredictionTable:
    """The table of a split under another protocol, from the stored logits."""
    table, views = PredictionTable.read(folder / f"{split}.parquet"), ViewScores.read(folder, split)
    if views.logits.shape[0] != len(table.videos) or views.logits.shape[2] != len(table.classes):
        raise UserError(f"{folder}: {split}.parquet and {split}.views.npy are not of one run. `dvc repro`.")
    chosen = chosen_views(views, protocol) if "=" in protocol else None
    scores = views.probabilities(protocol) if chosen is None else views.mean_of(chosen)
    check_rows(table.videos, table.classes, scores, lambda row: f"{folder}/{split}.views.npy, row {row + 1}")
    meta = {**table.meta, "protocol": protocol}
    return replace(table, probabilities=scores, meta=meta)


def chosen_views(views: ViewScores, text: str) -> list[int]:
    """The positions of the views that `text` describes: ``side=40,crop=centre``."""
    if not all({"clips", "clip"} <= set(view) for view in views.grid["views"]):
        raise UserError(
            f"{text!r}: nobody knows what the views of another program's scores show; ask for a protocol, "
            f"{', '.join(views.grid['protocols'])}."
        )
    flat = [_flat(view) for view in views.grid["views"]]
    chosen = list(range(len(flat)))
    for part in text.split(","):
        key, _, value = (word.strip() for word in part.partition("="))
        if key not in KEYS:
            raise UserError(f"{key!r} is no key, only {', '.join(KEYS)}.")
        known = list(dict.fromkeys(view[key] for view in flat))
        if value not in known:
            raise UserError(f"No view has {part.strip()!r}; {key} is {', '.join(known)}.")
        chosen = [number for number in chosen if flat[number][key] == value]
    if not chosen:
        raise UserError(f"No view is all of {text!r}.")
    return chosen


def _flat(view: Mapping[str, Any]) -> dict[str, str]:
    """The values of `KEYS` of a view; - where a window of sound has none."""
    scale = view.get("scale", {})
    found = {**view, "side": scale.get("side", "-"), "size": scale.get("crop", "-")}
    return {key: str(found.get(key, "-")) for key in KEYS}


def _ends(values: np.ndarray, top: int) -> list[tuple[str, Sequence[int]]]:
    """The positions of the highest and of the lowest values; NaN is in neither."""
    order = [int(i) for i in np.argsort(-values, kind="stable") if np.isfinite(values[i])]
    return [("Best", order[:top]), ("Worst", order[::-1][:top])]


def _top_of(table: PredictionTable, row: int, count: int) -> str:
    scores = table.probabilities[row]
    return ", ".join(f"{table.classes[c]} {scores[c]:.2f}" for c in np.argsort(-scores, kind="stable")[:count])


def _position(names: Sequence[str], name: str, what: str) -> int:
    if name not in names:
        close = [other for other in names if name.lower() in other.lower()][:5]
        listed = f" There are: {', '.join(close)}." if close else params.hint(name, names)
        raise UserError(f"There is no {what} {name!r}.{listed}")
    return names.index(name)


def _precisions(table: PredictionTable) -> tuple[np.ndarray, np.ndarray]:
    """Average precision of each video and of each class; NaN where it has no label."""
    if not table.labelled:
        return np.full(len(table.videos), np.nan), np.full(len(table.classes), np.nan)
    scores, targets = table.probabilities, table.targets()
    by_video = np.where((targets > 0).any(axis=1), metrics.average_precision(scores, targets), np.nan)
    return by_video, metrics.class_average_precision(scores, targets)


def _percent(value: float) -> str:
    """Empty for NaN."""
    return "" if np.isnan(value) else f"{100 * value:.2f}"
