"""A run as a FiftyOne dataset on disk, in the form of `fiftyone.types.FiftyOneDataset`: metadata.json, samples.json.

    dataset = fiftyone.Dataset.from_dir("exported", dataset_type=fiftyone.types.FiftyOneDataset)

A sample is a file. A video that is all of it has `ground_truth` and `predictions_<model>`: a Classification where each
video has one label, otherwise Classifications. Those that are parts of it are TemporalDetections, `segments` and
`segments_<model>`, of numbers of frames. The form is that of FiftyOne 1.0; later versions bring it up to theirs.
"""

import base64
import hashlib
import io
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.core import files
from pipeline.core.manifest import SPLITS
from pipeline.core.task import SINGLE_LABEL
from pipeline.ui import fiftyone_fields as fields
from pipeline.ui.catalogue import Catalogue
from pipeline.ui.frame_clock import FrameClock

BROKEN = "broken"
"""Tag of a video that gave no frame."""
_LEAST = 1e-7
"""Probabilities are kept so far from 0 and 1 when they become logits."""


@dataclass(frozen=True)
class Export:
    """What is written, and how much of it."""

    catalogue: Catalogue
    root: Path
    """The root of the corpus, absolute."""
    top: int
    """Classes with the highest scores that are written of each model; where each video has one label it is one."""
    logits: bool
    """Whether the logits of all classes are written as well, of models whose scores are probabilities."""
    clocks: Mapping[str, FrameClock]
    """Path of a file -> its frames, for files of which a video is a part; where it is missing, that is left out."""

    @cached_property
    def single(self) -> bool:
        """Whether each video has one label."""
        return {model.answers.task for model in self.catalogue.models.values()} == {SINGLE_LABEL}

    def write(self, folder: Path) -> int:
        """Write the dataset into a new folder, all or nothing; the number of samples."""
        fields.model_fields(self.catalogue.models)  # or refuse names that cannot stand side by side
        count = 0
        with files.aside(folder) as partial:
            partial.mkdir()
            files.write_json(partial / "metadata.json", self._metadata(folder.name))
            with (partial / "samples.json").open("w", encoding="utf-8") as file:
                for count, sample in enumerate(self._samples(), 1):
                    file.write('{"samples": [\n' if count == 1 else ",\n")
                    json.dump(sample, file, ensure_ascii=False, separators=(",", ":"))
                file.write("\n]}\n")
        return count

    def _metadata(self, name: str) -> dict[str, Any]:
        parts = bool(self.catalogue.spans)
        return fields.dataset(name, self.catalogue.classes, self.single, self.catalogue.models, parts)

    def _samples(self) -> Iterator[dict[str, Any]]:
        by_file: dict[str, list[int]] = {}
        for video, path in enumerate(self.catalogue.paths.to_pylist()):
            by_file.setdefault(path, []).append(video)
        for path, videos in by_file.items():
            tags = [name for n, name in enumerate(SPLITS) if n in self.catalogue.split[videos]]
            tags += [BROKEN] * bool(self.catalogue.broken.keys() & set(videos))
            identity = _identity(path)
            chance = int(identity["$oid"][:12], 16) / 16**12
            sample: dict[str, Any] = {"_id": identity, "filepath": str(self.root / path), "tags": tags}
            sample |= {"_media_type": "video", "_rand": chance}
            parts = [video for video in videos if video in self.catalogue.spans]
            for video in videos:
                if video not in self.catalogue.spans:
                    sample |= self._of_whole(video)
            yield sample | (self._of_parts(path, parts) if parts else {})

    def _of_whole(self, video: int) -> dict[str, Any]:
        name, apart = self.catalogue.videos[video].as_py(), self.catalogue.apart[video]
        found: dict[str, Any] = {"video": name, "disagreement": None if np.isnan(apart) else float(apart)}
        if self.catalogue.labelled[video]:
            truth = [_classification(name, label) for label in self.catalogue.names(video)]
            found["ground_truth"] = truth[0] if self.single else _list_of("Classification", truth)
        for model, field in fields.model_fields(self.catalogue.models).items():
            if (scores := self.catalogue.scores(model, video)) is not None:
                found[f"predictions_{field}"] = self._prediction(f"{name}\n{model}", model, scores)
        return found

    def _prediction(self, key: str, model: str, scores: np.ndarray) -> dict[str, Any]:
        wanted = self.logits and not self.catalogue.models[model].answers.fuses_ranks
        more = {"logits": _vector(self._logits(scores))} if wanted else {}
        best = [_classification(key, name, score) for name, score in self._best(scores)]
        return best[0] | more if self.single else _list_of("Classification", best) | more

    def _best(self, scores: np.ndarray) -> list[tuple[str, float]]:
        order = np.argsort(-scores, kind="stable")[: self.top]
        return [(self.catalogue.classes[number], float(scores[number])) for number in order]

    def _logits(self, scores: np.ndarray) -> np.ndarray:
        """Logits (C,) whose sigmoid, or softmax where each video has one label, the scores are."""
        kept = np.clip(scores.astype(np.float64), _LEAST, 1 - _LEAST)
        logits = np.log(kept) if self.single else np.log(kept) - np.log1p(-kept)
        return np.asarray(logits, np.float32)

    def _of_parts(self, path: str, videos: Sequence[int]) -> dict[str, Any]:
        clock = self.clocks.get(path)
        if clock is None:
            return {}
        models = fields.model_fields(self.catalogue.models)
        found: dict[str, list[dict[str, Any]]] = {"segments": []}
        for video in videos:
            support = clock.support(self.catalogue.spans[video])
            tags = [SPLITS[self.catalogue.split[video]]] + [BROKEN] * (video in self.catalogue.broken)
            name = self.catalogue.videos[video].as_py()
            found["segments"] += [_detection(name, label, support, tags) for label in self.catalogue.names(video)]
            for model, field in models.items():
                if (scores := self.catalogue.scores(model, video)) is not None:
                    best = self._best(scores)
                    answers = [_detection(f"{name}\n{model}", label, support, tags, score) for label, score in best]
                    found.setdefault(f"segments_{field}", []).extend(answers)
        return {field: _list_of("TemporalDetection", each) for field, each in found.items()}


def _identity(*parts: str) -> dict[str, str]:
    """An ObjectId that is the same in every export."""
    return {"$oid": hashlib.sha256("\n".join(parts).encode()).hexdigest()[:24]}


def _classification(key: str, label: str, score: float | None = None) -> dict[str, Any]:
    found = {"_id": _identity("classification", key, label), "_cls": "Classification", "tags": [], "label": label}
    return found if score is None else found | {"confidence": score}


def _detection(
    key: str, label: str, support: Sequence[int], tags: Sequence[str], score: float | None = None
) -> dict[str, Any]:
    identity = _identity("detection", key, label)
    found = {"_id": identity, "_cls": "TemporalDetection", "tags": [*tags], "label": label, "support": [*support]}
    return found if score is None else found | {"confidence": score}


def _list_of(kind: str, labels: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {"_cls": f"{kind}s", "classifications" if kind == "Classification" else "detections": [*labels]}


def _vector(values: np.ndarray) -> dict[str, Any]:
    """An array as FiftyOne keeps it: NumPy's format, compressed."""
    content = io.BytesIO()
    np.save(content, values, allow_pickle=False)
    packed = base64.b64encode(zlib.compress(content.getvalue())).decode()
    return {"$binary": {"base64": packed, "subType": "00"}}
