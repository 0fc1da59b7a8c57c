"""What is in a long video and when: a window slides over it, and each place is answered like a video of its own.

Times are on the clock of the file, as players show it. A window from 12 to 14 seconds has the frames, the sound, the id
and so the scores of the segment `start 12, end 14` of a corpus. Places before the first picture, or to models that only
hear before and behind the sound, have no answer, and neither have those of one frame to models that only take flow.
"""

import csv
import io
import itertools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from markupsafe import Markup

from pipeline.cli import first_times, new_sounds
from pipeline.cli.new_frames import NewVideos
from pipeline.cli.new_videos import Scorer, extracted
from pipeline.clips.sound_store import RATE
from pipeline.core.broken_videos import BrokenVideo
from pipeline.core.errors import UserError
from pipeline.core.machine import Machine
from pipeline.core.markdown import text_table
from pipeline.core.segments import Segment
from pipeline.core.task import noted
from pipeline.extraction.config import ExtractConfig

DRAWN = 24
"""Largest number of classes in a plot: those of the highest peaks."""
_LEFT, _WIDE, _TOP, _ROW = 200, 800, 28, 22


class Place(NamedTuple):
    """A window at one place, and what is in it."""

    segment: Segment
    """Seconds on the clock of the file; the last one ends with the video."""
    scores: np.ndarray
    """The probability of every class, float32 (C,)."""


def windows(frames: int, fps: int, length: float, stride: float, lead: int = 0) -> list[tuple[Segment, range]]:
    """The places of a window and their frames, every `stride` seconds up to the first that reaches the end.

    Places before the first picture are left out.

    Args:
        frames: number of frames of the video.
        fps: frames a second.
        length: of the window in seconds.
        stride: seconds from one place to the next.
        lead: number of frames that would stand before the first one on the clock of the file.

    Raises:
        UserError: some place holds no frame.
    """
    found: list[tuple[Segment, range]] = []
    end = lead + frames
    for number in itertools.count():
        start = round(number * stride, 6)
        segment = Segment(start, round(start + length, 6))
        first, beyond = segment.frames(fps)
        if first >= end:  # the stride leaped over the end
            break
        if first >= beyond:
            raise UserError(f"--window {length:g}: there is no frame in it at {fps} a second. Take a longer one.")
        if beyond > lead:
            inside = range(max(first, lead) - lead, min(int(beyond), end) - lead)
            found.append((segment if beyond <= end else Segment(start, round(end / fps, 6)), inside))
        if beyond >= end:
            break
    return found


def heard_windows(sound: np.ndarray, begins: float, length: float, stride: float) -> list[tuple[Segment, range]]:
    """The places where a sound is heard, int16 (S,), that begins at `begins` seconds; without frames.

    Other arguments and the order are those of `windows`.
    """
    end = round(begins + len(sound) / RATE, 6)
    starts = (round(number * stride, 6) for number in itertools.count())
    spans = itertools.takewhile(lambda span: span.start < end, (Segment(s, round(s + length, 6)) for s in starts))
    found = [Segment(one.start, min(one.end, end)) for one in spans]
    last = next((number for number, one in enumerate(found) if one.end == end), len(found))
    return [(one, range(0)) for one in found[: last + 1] if one.end > begins]


def answers(
    files: Sequence[Path], scorer: Scorer, config: ExtractConfig, machine: Machine, length: float, stride: float
) -> Iterator[tuple[Path, Iterator[Place] | BrokenVideo]]:
    """For each file, in order, the places of the window as they are answered, or why there are none."""
    sees = scorer.senses(hear=False)
    for file, jpegs in extracted(files, config, machine, at_once=1, frames=sees):
        if isinstance(jpegs, BrokenVideo):
            yield file, jpegs
            continue
        sound = new_sounds.of(file, config, machine) if scorer.senses(hear=True) else None
        if isinstance(sound, BrokenVideo) and not sees:
            yield file, sound
            continue
        heard = None if isinstance(sound, BrokenVideo) else sound
        first = first_times.of(file, config, machine)
        if isinstance(first, BrokenVideo):
            yield file, first
            continue
        if sees or heard is None:
            lead = round(first.picture * config.fps)
            places = windows(len(jpegs), config.fps, length, stride, lead)
        else:
            places = heard_windows(heard, first.sound, length, stride)
        yield file, _places(file, jpegs, heard, scorer, places, first.sound)


def _places(
    file: Path, jpegs: list[memoryview], sound: np.ndarray | None, scorer: Scorer,
    places: Sequence[tuple[Segment, range]], begins: float,
) -> Iterator[Place]:  # fmt: skip
    for segment, inside in places:
        source = NewVideos(scorer.smaller)
        video = f"{file}{segment.suffix}"
        source.jpegs[video] = jpegs[inside.start : inside.stop]
        start, end = (max(0, round((each - begins) * RATE)) for each in segment)  # a sound may begin late
        part = None if sound is None or start >= min(end, len(sound)) else sound[start:end]
        if part is not None or scorer.senses(hear=False):
            scores = scorer.score(source, video, part)
            if not isinstance(scores, BrokenVideo):  # as a place of one frame is to a model of flow alone
                yield Place(segment, scores)


def as_table(file: Path, places: Sequence[Place], classes: Sequence[str], top: int) -> str:
    """A line a place with its top classes, for a person."""
    rows = []
    for segment, scores in places:
        best = [f"{classes[c]} {scores[c]:.2f}" for c in np.argsort(-scores, kind="stable")[:top]]
        rows.append([f"{clock(segment.start)} to {clock(segment.end)}", *best])
    return "\n".join([*text_table([str(file), *map(str, range(1, len(rows[0])))], rows), ""])


def as_json(file: Path, place: Place, scorer: Scorer) -> str:
    """A place with all classes, best first, for a program."""
    order = np.argsort(-place.scores, kind="stable")
    span = {"video": str(file), "start": place.segment.start, "end": place.segment.end}
    scores = {scorer.classes[c]: float(place.scores[c]) for c in order}
    return json.dumps({**span, **noted(scorer.task), "scores": scores}, ensure_ascii=False)


def csv_head(classes: Sequence[str]) -> str:
    """The first line of a CSV: video, start, end, and the classes in their order."""
    return _line("video", "start", "end", *classes)


def csv_line(file: Path, place: Place) -> str:
    """The line of a place."""
    return _line(file, place.segment.start, place.segment.end, *(f"{score:.6g}" for score in place.scores))


def _line(*cells: object) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(cells)
    return text.getvalue()


def as_svg(file: Path, places: Sequence[Place], classes: Sequence[str]) -> str:
    """A picture: a row a class, from the highest peak down, and over time the darker the higher its score."""
    scores = np.stack([place.scores for place in places])
    order = np.argsort(-scores.max(axis=0), kind="stable")[:DRAWN]
    end, bottom = places[-1].segment.end, _TOP + _ROW * len(order)
    drawn = [Markup('<text x="{}" y="16" font-weight="bold">{}</text>').format(_LEFT, file.name)]
    for share, anchor in ((0, "start"), (0.5, "middle"), (1, "end")):
        tick = Markup('<text x="{:.1f}" y="{}" text-anchor="{}">{}</text>')
        drawn.append(tick.format(_LEFT + share * _WIDE, bottom + 16, anchor, clock(share * end)))
    for row, number in enumerate(order):
        y = _TOP + row * _ROW
        name = Markup('<text x="{}" y="{}" text-anchor="end">{}</text>')
        drawn.append(name.format(_LEFT - 8, y + 15, classes[number][:28]))
        drawn += _cells(places, number, classes[number], y)
    head = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {} {}" font-family="sans-serif" font-size="13">'
    return head.format(_LEFT + _WIDE + 20, bottom + 28) + "".join(drawn) + "</svg>\n"


def _cells(places: Sequence[Place], number: int, name: str, y: int) -> Iterator[Markup]:
    """The row of a class: each place up to where the next begins."""
    end = places[-1].segment.end
    starts = [place.segment.start for place in places]
    cell = Markup('<rect x="{:.2f}" y="{}" width="{:.2f}" height="{}" fill="#1f5fa8" fill-opacity="{:.3f}">{}</rect>')
    for (segment, scores), until in zip(places, [*starts[1:], end], strict=True):
        said = Markup("<title>{}, {} to {}: {:.2f}</title>").format(name, *map(clock, segment), scores[number])
        x, width = _LEFT + segment.start / end * _WIDE, (until - segment.start) / end * _WIDE
        yield cell.format(x, y, width, _ROW - 2, scores[number], said)


def clock(seconds: float) -> str:
    """A time as H:MM:SS.mmm, without zeros at its ends: 12.5, 1:02, 1:00:00."""
    whole, milliseconds = divmod(round(seconds * 1000), 1000)
    hours, minutes = whole // 3600, whole // 60 % 60
    text = f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"
    return f"{text}.{milliseconds:03}".rstrip("0") if milliseconds else text
