"""A job: one model scores videos, and the scores go to its cache chunk by chunk."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from pipeline.clips.dataset import Crop
from pipeline.core.errors import UserError
from pipeline.inference.predictor import Predictor, Scores, Views
from pipeline.runtime.chunk_cache import CHUNK, ChunkCache

log = logging.getLogger(__name__)


@dataclass
class Job:
    """The scoring of one model in one run: what it has to do, and what it has done."""

    predictor: Predictor
    cache: ChunkCache
    is_companion: bool = False
    """Whether the model is scored along with the model of the stage, which must not fail with it."""
    failed: bool = False
    """Whether a companion has failed; it gets no more videos then."""
    computed_views: int = 0
    """Number of views that went through the network."""
    all_views: int = 0
    """Number of views that have scores, of which equal ones are computed once."""
    _chunk: int | None = None
    _kept: np.ndarray = field(default_factory=lambda: np.empty(0))
    _scored: list[Scores] = field(default_factory=list)
    _waiting: list[Views] = field(default_factory=list)

    def add(self, video: int, frames: Mapping[int, torch.Tensor], crops: Sequence[Crop]) -> None:
        """Score a video, or keep it for a pass that it shares with the next ones; write its chunk if it is the last.

        The videos of a chunk come in order, and the first is the one that the cache lacks. Those that share a pass are
        of one chunk and begin at a multiple of their number, so a run that was stopped goes on with the same ones. The
        error of a companion is logged, since its own stage will meet it again; other processes notice nothing of it.

        Args:
            video: number of the video in the cache.
            frames: those of a DecodedVideo, on the device of the model.
            crops: one for each view of the model.
        """
        if self.failed:
            return
        try:
            self._add(video, frames, crops)
        except Exception as error:
            if not self.is_companion:
                raise
            log.warning("without %s, which fails: %s", self.predictor.name, error)
            self.failed, self._chunk, self._waiting = True, None, []

    def save(self) -> None:
        """Write the scores of a chunk that is not finished; videos that wait for others are left out."""
        if self._chunk is not None and self._scored:
            self.cache.write(self._chunk, np.concatenate([self._kept, *(scores.read() for scores in self._scored)]))
            self._chunk = None

    def scores(self) -> Iterator[np.ndarray]:
        """The scores (K, C) of every video, all of which must be in the cache.

        Raises:
            UserError: a score is not finite, and the cache is deleted; or a chunk is not finished.
        """
        for scores in self.cache.all():
            if not np.isfinite(scores).all():
                self.cache.delete()
                raise UserError(
                    f"Model {self.predictor.name} gives scores that are not finite. Train it anew at a lower lr."
                )
            yield scores

    def _add(self, video: int, frames: Mapping[int, torch.Tensor], crops: Sequence[Crop]) -> None:
        if self._chunk is None:
            self._chunk = video // CHUNK
            self._kept, self._scored = self.cache.rows(self._chunk), []
        self._waiting.append((frames, crops))
        self.computed_views += len(set(crops))
        self.all_views += len(crops)
        last = video == self.cache.span(self._chunk)[-1]
        if last or len(self._waiting) == self.predictor.machine.videos_per_pass:
            self._scored.append(self.predictor.score(self._waiting))
            self._waiting = []
        if last:
            self.save()
