"""How much of a video is damaged: pictures that do not decode, that are marred, or that lean on such pictures.

A decoder says which pictures it had to make up in part, but not which later ones are made of them: these are whatever
follows, up to the next picture that leans on no other. A picture shown before one that was decoded earlier
(bidirectional) is taken to be leant on by none. Nor does FFmpeg say which pictures are gone with a part of the file, or
are skipped without a word for want of another; where it reports errors, they are the holes in time that hold packets or
lie beside a marred picture, and all holes where the container is damaged: recorded screens have gaps of their own.
"""

import itertools
import statistics
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence

from pipeline.extraction.ffmpeg_log import BIDIRECTIONAL, INTRA, FFmpegLog, Picture

Step = tuple[Picture | None, bool]
"""A picture, or None for one that did not decode; and whether later ones may lean on it."""


def count(log: FFmpegLog) -> tuple[int, int, int]:
    """Number of pictures that there should be, of those that were decoded, and of those that are damaged or gone."""
    failed = log.pictures.count(None)
    gone = max(0, _holes(log) - failed) if log.errors else 0
    spoiled, damaged = False, 0
    for picture, leant_on in _order_of_decoding(log.packets, log.pictures):
        if picture is None:
            spoiled = spoiled or leant_on
            damaged += 1
            continue
        if picture.kind == INTRA:
            spoiled = False
        spoiled = spoiled or (picture.marred and leant_on)
        damaged += spoiled or picture.marred
    damaged = max(damaged + gone, min(log.corrupt_packets, len(log.pictures)))
    return len(log.pictures) + gone, len(log.pictures) - failed, damaged


def _holes(log: FFmpegLog) -> int:
    """Number of lost pictures that would fit into the gaps between those there are, each as long as most are."""
    shown = sorted((picture.pts, picture.marred) for picture in log.pictures if picture and picture.pts is not None)
    gaps = [(one, two, before or after) for (one, before), (two, after) in itertools.pairwise(shown) if two > one]
    if not gaps:
        return 0
    usual = statistics.median_low(two - one for one, two, _ in gaps)
    packets = sorted(pts for pts, _ in log.packets if pts is not None)
    container = log.container_errors + log.corrupt_packets > 0
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
        yield from ((p, p is None or p.kind != BIDIRECTIONAL) for p in pictures)
        return
    newest = None
    for pts in times:
        assert pts is not None
        last = newest is None or pts > newest
        newest = pts if last else newest
        if pts in shown:
            yield shown[pts], last
        elif failed:  # a packet without a picture of its own is healthy where none failed: an edit list leaves some out
            failed -= 1
            yield None, last


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
