"""What FiftyOne is told of a dataset: its fields, by their classes, as metadata.json lists them."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from pipeline.core.errors import UserError

VERSION = "1.0.0"
"""Version of FiftyOne whose form this is."""
_FIELDS, _LABELS = "fiftyone.core.fields", "fiftyone.core.labels"


def model_fields(models: Iterable[str]) -> dict[str, str]:
    """Model -> what the names of its fields end with: letters, digits and `_`, as FiftyOne wants them.

    Raises:
        UserError: two models would have the same.
    """
    found = {model: re.sub(r"\W", "_", model) for model in models}
    for model, field in found.items():
        if other := next((one for one, its in found.items() if its == field and one != model), None):
            raise UserError(f"The models {model!r} and {other!r} would both be {field!r} in FiftyOne. Rename one.")
    return found


def dataset(name: str, classes: Sequence[str], single: bool, models: Iterable[str], parts: bool) -> dict[str, Any]:
    """Content of metadata.json.

    Args:
        single: whether each video has one label.
        parts: whether there are videos that are parts of a file.
    """
    whole, ends = (_classification if single else _classifications), model_fields(models).values()
    own = [whole("ground_truth"), *(whole(f"predictions_{end}") for end in ends)]
    if parts:
        own += [_detections("segments"), *(_detections(f"segments_{end}") for end in ends)]
    texts = [_field("video", "StringField"), _field("disagreement", "FloatField")]
    return {
        "name": name,
        "version": VERSION,
        "persistent": False,
        "media_type": "video",
        "group_media_types": {},
        "tags": [],
        "info": {},
        "app_config": {},
        "classes": {},
        "default_classes": list(classes),
        "mask_targets": {},
        "default_mask_targets": {},
        "skeletons": {},
        "sample_fields": [*_of_every_sample(), *texts, *own],
        "frame_fields": [_id(), _field("frame_number", "FrameNumberField"), *_kept_by_it()],
        **{one: [] for one in ("saved_views", "workspaces")},
        **{one: {} for one in ("annotation_runs", "brain_methods", "evaluations", "runs")},
    }


def _of_every_sample() -> list[dict[str, Any]]:
    numbers = ("size_bytes", "frame_width", "frame_height", "total_frame_count")
    video = [_field(name, "IntField") for name in numbers]
    video += [_field(name, "StringField") for name in ("mime_type", "encoding_str")]
    video += [_field(name, "FloatField") for name in ("frame_rate", "duration")]
    metadata = _document("metadata", "fiftyone.core.metadata.VideoMetadata", video)
    text = [_field(name, "StringField") for name in ("filepath", "_media_type")]
    return [_id(), *text, _tags(), metadata, _field("_rand", "FloatField"), *_kept_by_it()]


def _kept_by_it() -> list[dict[str, Any]]:
    """Fields that FiftyOne fills."""
    times = [_field(name, "DateTimeField") | {"read_only": True} for name in ("created_at", "last_modified_at")]
    return [*times, _field("_dataset_id", "ObjectIdField")]


def _classification(name: str) -> dict[str, Any]:
    return _document(name, f"{_LABELS}.Classification", _of_classification())


def _of_classification() -> list[dict[str, Any]]:
    label, confidence = _field("label", "StringField"), _field("confidence", "FloatField")
    return [_id(), _tags(), label, confidence, _field("logits", "VectorField")]


def _classifications(name: str) -> dict[str, Any]:
    each = _documents("classifications", f"{_LABELS}.Classification", _of_classification())
    return _document(name, f"{_LABELS}.Classifications", [each, _field("logits", "VectorField")])


def _detections(name: str) -> dict[str, Any]:
    support = _field("support", "FrameSupportField") | {"subfield": f"{_FIELDS}.IntField"}
    inside = [_id(), _tags(), _field("label", "StringField"), support, _field("confidence", "FloatField")]
    return _document(
        name, f"{_LABELS}.TemporalDetections", [_documents("detections", f"{_LABELS}.TemporalDetection", inside)]
    )


def _field(name: str, kind: str) -> dict[str, Any]:
    nothing = dict.fromkeys(("embedded_doc_type", "subfield", "description", "info", "created_at"))
    return {"name": name, "ftype": f"{_FIELDS}.{kind}", "fields": [], "db_field": name, "read_only": False, **nothing}


def _id() -> dict[str, Any]:
    return _field("id", "ObjectIdField") | {"db_field": "_id"}


def _tags() -> dict[str, Any]:
    return _field("tags", "ListField") | {"subfield": f"{_FIELDS}.StringField"}


def _document(name: str, kind: str, inside: list[dict[str, Any]]) -> dict[str, Any]:
    return _field(name, "EmbeddedDocumentField") | {"embedded_doc_type": kind, "fields": inside}


def _documents(name: str, kind: str, inside: list[dict[str, Any]]) -> dict[str, Any]:
    more = {"subfield": f"{_FIELDS}.EmbeddedDocumentField", "embedded_doc_type": kind, "fields": inside}
    return _field(name, "ListField") | more
