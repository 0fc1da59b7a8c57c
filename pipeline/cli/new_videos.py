"""New video files -> FFmpeg -> the views of the training data -> the probability of every class."""

import glob
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from lightning_fabric import Fabric

from pipeline.cli import new_flows, new_sounds
from pipeline.cli.fused_members import Fusion
from pipeline.cli.new_flows import NewFlow
from pipeline.cli.new_frames import NewVideos
from pipeline.clips import dataset
from pipeline.clips.frame_source import FrameSource
from pipeline.clips.short_sides import Smaller
from pipeline.clips.views import ViewConfig
from pipeline.core import params, video_files
from pipeline.core.broken_videos import BrokenVideo
from pipeline.core.errors import UserError
from pipeline.core.files import temporary_folder
from pipeline.core.machine import Machine, parallel, scratch_folder
from pipeline.core.markdown import text_table
from pipeline.core.task import noted
from pipeline.core.tsv import one_line
from pipeline.ensemble import averaging
from pipeline.extraction.config import ExtractConfig
from pipeline.extraction.ffmpeg import extract_frames
from pipeline.extraction.outcome import NoFrames
from pipeline.flow.config import FlowConfig
from pipeline.flow.dis import NoFlow
from pipeline.inference.predictor import Predictor
from pipeline.predictions.table import FINAL
from pipeline.predictions.view_scores import ViewScores
from pipeline.runtime import distributed

ENSEMBLE = "ensemble"


@dataclass(frozen=True)
class Member:
    """A model and its share of the answer."""

    predictor: Predictor
    weight: float | list[float]
    """Member weight: one for all classes, or one for each."""

    @property
    def takes(self) -> str:
        """What it takes of a video: frames, flow or sound."""
        return str(self.predictor.clip.input)


class Scorer:
    """One model, or the weighted members of the ensemble.

    Args:
        name: a folder of `data`/models, or "ensemble".
        smaller: sizes at which frames are packed besides, so that a model sees those that it sees in a FrameStore.

    Raises:
        UserError: there is no such model, or params.yaml is of other models; or the ensemble has members without a
            model, or that were trained on other classes, or again since its weights were found.
    """

    idle: Sequence[Member] = ()
    """Members without weight, which answer alike the classes of a silent or still video that else nobody would."""
    flow: FlowConfig | None = None
    """How flow is computed, where a member takes it."""

    def __init__(self, name: str, data: Path, machine: Machine, smaller: Sequence[Smaller] = ()) -> None:
        self.smaller, known = tuple(smaller), sorted(folder.name for folder in (data / "models").glob("*/"))
        self.fusion = Fusion({name: 1.0}, "probability", FINAL, {})
        if name == ENSEMBLE:
            self.fusion = Fusion.read(data / ENSEMBLE)
        elif name not in known:
            raise UserError(f"There is no model {name!r}, only {', '.join([*known, ENSEMBLE])}.")
        fabric = distributed.launch(replace(machine, devices=1))

        def load(weights: Mapping[str, float | list[float]]) -> list[Member]:
            return [
                Member(self._predictor(data / "models" / member, name == ENSEMBLE, fabric, machine), weight)
                for member, weight in weights.items()
            ]

        self.members = load(self.fusion.weights)
        if not self._covers():
            lacked = {one.takes for one in self.members} - {"frames"}
            self.idle = [one for one in load(self.fusion.idle) if lacked - {one.takes}]
        if any(one.takes == "flow" for one in (*self.members, *self.idle)):
            self.flow = params.load("flow", FlowConfig)
        first, *others = (one.predictor for one in (*self.members, *self.idle))
        for predictor in others:
            predictor.check(first.checkpoint.classes)
        self.task = first.task
        if any(predictor.task != self.task for predictor in others):
            raise UserError(f"The members of {name} were trained for different tasks. `dvc repro` trains them anew.")
        self.device, self.turn = fabric.device, threading.Lock()

    def _predictor(self, folder: Path, fused: bool, fabric: Fabric, machine: Machine) -> Predictor:
        """The model of a folder, which is that whose weight was found."""
        config = _views(folder.name, self.fusion.weights, fused)
        predictor = Predictor(folder, config, fabric, machine)
        if self.fusion.checkpoints.get(folder.name) not in (None, predictor.meta["checkpoint"]):
            raise UserError(
                f"{folder.name} was trained again after the weights of the ensemble were found. `dvc repro ensemble` "
                "finds them anew."
            )
        return predictor

    def _covers(self) -> bool:
        """Whether those with weight answer each class of a video without sound and flow, too."""
        seeing = [np.asarray(one.weight) for one in self.members if one.takes == "frames"]
        return len(seeing) == len(self.members) or bool(np.all(sum(seeing, np.zeros(())) > 0))

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes, in the order of the scores."""
        return self.members[0].predictor.checkpoint.classes

    def senses(self, *, hear: bool) -> bool:
        """Whether some member hears, or sees."""
        return any((member.takes == "sound") == hear for member in (*self.members, *self.idle))

    def score(self, source: FrameSource, video: str, sound: np.ndarray | None = None) -> np.ndarray | BrokenVideo:
        """The probability of every class, float32 (C,), or why nobody has an answer.

        Threads that ask at once are answered in turn. Members are left out where the video has nothing for them.

        Args:
            source: the frames of the video, where some member sees; flow is computed from them.
            sound: its sound, int16 (S,); None where it has none.
        """
        given: dict[str, Any] = {"frames": source} | ({} if sound is None else {"sound": sound})
        idle = () if all(one.takes in ("flow", *given) for one in self.members) else self.idle
        moving = self.flow if any(one.takes == "flow" for one in (*self.members, *idle)) else None
        flow = new_flows.of(source, video, moving) if moving else None
        given |= {"flow": flow} if isinstance(flow, NewFlow) else {}
        able = [one for one in (*self.members, *self.idle) if one.takes in given]
        if isinstance(flow, NoFlow) and not able:
            return BrokenVideo(video, "", video, flow.reason, str(flow))
        with self.turn:
            if all(one.takes in given for one in self.members):
                return self.fuse(self._logits(self.members, video, given))
            return self._fuse_of(able, self._logits(able, video, given))

    def _logits(self, members: Sequence[Member], video: str, given: Mapping[str, Any]) -> list[np.ndarray]:
        """The logits of all views, (1, K, C), of each of the members; `given` is what they take of the video."""
        logits: dict[int, np.ndarray] = {}
        for takes, source in given.items():
            able = [number for number, one in enumerate(members) if one.takes == takes]
            if not able:
                continue
            specs = [members[number].predictor.view_spec for number in able]
            heard = takes == "sound"
            views = new_sounds.views_of(source, specs) if heard else dataset.decode_video(source, video, specs)
            decoded = views.to(self.device)
            for number, crops in zip(able, decoded.crops, strict=True):
                logits[number] = members[number].predictor.score([(decoded.frames, crops)]).read()
        return [logits[number] for number in sorted(logits)]

    def fuse(self, logits: Sequence[np.ndarray]) -> np.ndarray:
        """The probability of every class, float32 (C,), from each member's logits of all views, (1, K, C)."""
        return self._mean(self.members, logits, np.array([member.weight for member in self.members]))

    def _fuse_of(self, members: Sequence[Member], logits: Sequence[np.ndarray]) -> np.ndarray:
        """The same of some members, as `unseen.renormalised` shares the weights out."""
        weights = np.array([member.weight for member in members])
        total = weights.sum(axis=0)
        shares = np.where(total > 0, weights / np.where(total > 0, total, 1), 1 / len(members))
        return self._mean(members, logits, shares)

    def _mean(self, members: Sequence[Member], logits: Sequence[np.ndarray], weights: np.ndarray) -> np.ndarray:
        probabilities = []
        for member, own in zip(members, logits, strict=True):
            views = ViewScores(own, member.predictor.grid.describe(), member.predictor.task)
            probabilities.append(views.probabilities(self.fusion.protocol))
        scores = averaging.scale(np.stack(probabilities), self.fusion.mean, self.task)
        fused: np.ndarray = averaging.fuse(scores, weights, self.fusion.mean, self.task)[0]
        return fused


def found(named: Sequence[str]) -> list[Path]:
    """The files that are meant, each once, in the order of their naming; a folder's and a pattern's sorted.

    Raises:
        UserError: a name is empty or names nothing, a folder holds no video, or no file fits a pattern.
    """
    files: list[Path] = []
    for name in named:
        if not name:
            raise UserError("An empty argument names no video; . is the folder that you are in.")
        path = Path(name)
        if path.is_dir():
            others: Counter[str] = Counter()
            inside = video_files.inside(path, others)
            video_files.say_left_out(path, others)
        elif glob.has_magic(name) and not path.exists():
            inside = sorted(Path(f) for f in glob.glob(name, recursive=True) if Path(f).is_file())  # noqa: PTH207 - an absolute pattern, too
        elif path.exists():
            inside = [path]
        else:
            raise UserError(f"{name}: there is no such file or folder.{_nearest(path)}")
        if not inside:
            raise UserError(
                f"{name}: no video there, which a folder's are by their endings: {', '.join(video_files.SUFFIXES)}."
            )
        files += inside
    return list(dict.fromkeys(files))


def _nearest(path: Path) -> str:
    """What was meant, perhaps: a name like it in its folder."""
    there = [file.name for file in path.parent.iterdir()] if path.parent.is_dir() else []
    return params.hint(path.name, there, most=0)


def answers(
    files: Sequence[Path], scorer: Scorer, config: ExtractConfig, machine: Machine,
    named: Callable[[Path], str] = str,
) -> Iterator[tuple[Path, np.ndarray | BrokenVideo]]:  # fmt: skip
    """For each file, in order, the probability of every class, or why there is none.

    Args:
        named: what a file is called; random crops depend on it.
    """
    for file, jpegs in extracted(files, config, machine, machine.processes, frames=scorer.senses(hear=False)):
        if isinstance(jpegs, BrokenVideo):
            yield file, jpegs
            continue
        sound = new_sounds.of(file, config, machine) if scorer.senses(hear=True) else None
        if isinstance(sound, BrokenVideo) and not scorer.senses(hear=False):
            yield file, sound
        else:
            source = NewVideos(scorer.smaller)
            source.jpegs[named(file)] = jpegs
            yield file, scorer.score(source, named(file), None if isinstance(sound, BrokenVideo) else sound)


def extracted(
    files: Sequence[Path], config: ExtractConfig, machine: Machine, at_once: int, *, frames: bool = True
) -> Iterator[tuple[Path, list[memoryview] | BrokenVideo]]:
    """For each file, in order, its frames, or why there are none; `at_once` of them are extracted side by side.

    Without `frames`, nobody looks at them, and none are extracted.
    """
    binary = machine.ffmpeg_path()
    scratch = scratch_folder(machine, "predict")

    def extract(file: Path) -> list[memoryview] | BrokenVideo:
        shown = str(file).encode("utf-8", "backslashreplace").decode("utf-8")
        if shown != str(file):
            return BrokenVideo(shown, "", shown, "name", "the name of the file is no UTF-8; rename it")
        if not frames:
            return []
        with temporary_folder(scratch) as folder:
            try:
                extract_frames(file, folder, config, binary)
            except NoFrames as broken:
                return BrokenVideo(str(file), "", str(file), broken.reason, one_line(str(broken)))
            return [memoryview(jpeg.read_bytes()) for jpeg in sorted(folder.glob("*.jpg"))]

    yield from zip(files, parallel(extract, files, at_once), strict=True)


def as_table(file: Path, probabilities: np.ndarray, scorer: Scorer, top: int) -> str:
    """The top classes, for a person."""
    order = np.argsort(-probabilities, kind="stable")[:top]
    rows = [[scorer.classes[c], f"{probabilities[c]:.4f}"] for c in order]
    return "\n".join([*text_table([str(file), "score"], rows), ""])


def as_json(file: Path | str, probabilities: np.ndarray, scorer: Scorer) -> str:
    """All classes, best first, for a program; and the task, where each video has one label."""
    order = np.argsort(-probabilities, kind="stable")
    scores: dict[str, Any] = {scorer.classes[c]: float(probabilities[c]) for c in order}
    return json.dumps({"video": str(file), **noted(scorer.task), "scores": scores}, ensure_ascii=False)


def _views(name: str, members: Iterable[str], fused: bool) -> ViewConfig:
    """The views of a model, which is one of the ensemble's `members` where it is `fused`.

    Raises:
        UserError: params.yaml is of a set of models without it, or a setting is wrong.
    """
    there = params.read("models")
    if isinstance(there, Mapping) and name not in there:
        whose = f"the ensemble's member {name}" if fused else f"model {name}"
        other = f"`pipeline params model=SET` a set that holds {', '.join(members)}"
        raise UserError(
            f"{params.FILE} is of another set of models ({', '.join(map(str, there)) or 'none'}), as in an experiment: "
            f"it does not say how {whose} sees a video. `pipeline params` writes the set of conf/, "
            f"{other if fused else f'`pipeline params model={name}` this model'}."
        )
    return params.load(f"models.{name}.test", ViewConfig)
