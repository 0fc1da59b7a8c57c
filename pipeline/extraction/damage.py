"""How much of a video is damaged: pictures that do not decode, that are marred, or that lean on such pictures.

A decoder says which pictures it had to make up in part, but not which later ones are made of them: these are whatever
follows, up to the next picture that leans on no other. A picture shown before one that was decoded earlier
(bidirectional) is taken to be leant on by none. Nor does FFmpeg say which pictures are gone with a part of the file, or
are skipped without a word for want of another; where it reports errors, they are the holes in time that hold packets or
lie beside a marred picture, and all holes where the container is damaged: recorded screens have gaps of their own.
"""

import itertools
import math
import statistics
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence

from pipeline.extraction.ffmpeg_log import BIDIRECTIONAL, INTRA, FFmpegLog, Picture

Step = tuple[Picture | None, bool, int | None]
"""A picture, or None for one that did not decode; whether later ones may lean on it; and when it is shown."""


def count(log: FFmpegLog, since: float = -math.inf, until: float = math.inf) -> tuple[int, int, int]:
    """Number of pictures that there should be, of those that were decoded, and of those that are damaged or gone.

    Of the pictures that begin between two times, in units of the log; one whose time nobody knows counts where it
    stands among the others.
    """
    heard = _before(log.pictures, until)
    packets = [packet for packet in log.packets if packet[0] is None or packet[0] < until]
    spoiled, damaged, now = False, 0, since
    shown: list[Picture | None] = []
    for picture, leant_on, pts in _order_of_decoding(packets, heard):
        now = now if pts is None else pts
        if picture and picture.kind == INTRA:
            spoiled = False
        marred = picture is None or picture.marred
        spoiled = spoiled or (marred and leant_on)
        if now >= since:
            shown.append(picture)
            damaged += spoiled or marred
    shown += [None] * (heard.count(None) - shown.count(None)) if since == -math.inf else []
    failed = shown.count(None)
    gone = max(0, _holes(log, shown) - failed) if log.errors else 0
    corrupt = sum(since <= time < until for time in _times(log.packets, log.corrupt))
    return len(shown) + gone, len(shown) - failed, max(damaged + gone, min(corrupt, len(shown)))


def _before(pictures: Sequence[Picture | None], until: float) -> list[Picture | None]:
    """The pictures but for those that begin later."""
    return [picture for picture in pictures if not picture or picture.pts is None or picture.pts < until]


def _times(packets: Sequence[tuple[int | None, int]], places: Sequence[int]) -> Iterator[float]:
    """When some packets are shown, by their places; one without a time is shown with that before it."""
    for place in places:
        known = [pts for pts, _ in packets[max(0, place - 1) : place + 1] if pts is not None]
        yield known[-1] if known else -math.inf


def _holes(log: FFmpegLog, pictures: Sequence[Picture | None]) -> int:
    """Number of lost pictures that would fit into the gaps between those there are, each as long as most are."""
    shown = sorted((picture.pts, picture.marred) for picture in pictures if picture and picture.pts is not None)
    gaps = [(one, two, before or after) for (one, before), (two, after) in itertools.pairwise(shown) if two > one]
    if not gaps:
        return 0
    usual = statistics.median_low(two - one for one, two, _ in gaps)
    packets = sorted(pts for pts, _ in log.packets if pts is not None)
    container = log.container_errors + len(log.corrupt) > 0
    holes = 0
    for one, two, marred in gaps:
        fitting = round((two - one) / usual) - 1
        known = container or marred
        holes += fitting if known else min(fitting, bisect_left(packets, two) - bisect_right(packets, one))
    return holes


def _order_of_decoding(packets: Sequence[tuple[int | None, int]], pictures: Sequence[Picture | None]) -> Iterator[Step]:
    """The pictures as they were decoded, where timestamps tell; else as FFmpeg said them."""
    shown = {picture.pts: picture for picture in pictures if picture}
    failed = pictures.count(None)
    times = [pts for pts, _ in packets]
    unique = len(shown) + failed == len(pictures) and len(set(times)) == len(times)
    if None in times or not unique or not shown.keys() <= set(times):
        yield from ((p, p is None or p.kind != BIDIRECTIONAL, p.pts if p else None) for p in pictures)
        return
    newest = None
    for pts in times:
        assert pts is not None
        last = newest is None or pts > newest
        newest = pts if last else newest
        if pts in shown:
            yield shown[pts], last, pts
        elif failed:  # a packet without a picture of its own is healthy where none failed: an edit list leaves some out
            failed -= 1
            yield None, last, pts


def begins(log: FFmpegLog) -> float:
    """When the first picture is shown, in seconds; 0 where there is none with a time."""
    return min((p.pts for p in log.pictures if p and p.pts is not None), default=0) * log.time_base


def seconds(log: FFmpegLog) -> float:
    """How long the stream's pictures last in seconds, those that did not decode after the first one included.

    What comes before the first picture is not promised: an edit list leaves it out, or a cut stream lacks what it leans
    on. Of the durations only the last one counts: MP4 says how long it is until the next picture is decoded, which may
    be shown earlier, so that one in the middle would seem to outlast the end.
    """
    times = [(p.pts, p.duration) for p in log.pictures if p and p.pts is not None]
    if not times:
        return 0.0
    first, _ = min(times)
    if log.errors:
        times += [(pts, duration) for pts, duration in log.packets if pts is not None]
    last, duration = max(times)
    return (last + duration - first) * log.time_base
