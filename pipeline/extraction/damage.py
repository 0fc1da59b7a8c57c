"""How much of a video is damaged: pictures that do not decode, that are marred, or that lean on such pictures.

A decoder says which pictures it had to make up in part, but not which later ones are made of them: these are whatever
follows, up to the next picture that leans on no other. A picture shown before one that was decoded earlier
(bidirectional) is taken to be leant on by none.
"""

from collections.abc import Iterator, Sequence

from pipeline.extraction.ffmpeg_log import BIDIRECTIONAL, INTRA, FFmpegLog, Picture

Step = tuple[Picture | None, bool]
"""A picture, or None for one that did not decode; and whether later ones may lean on it."""


def count(log: FFmpegLog) -> tuple[int, int]:
    """Number of pictures that were decoded, and of those that are damaged or did not decode."""
    decoded = sum(picture is not None for picture in log.pictures)
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
    return decoded, max(damaged, min(log.corrupt_packets, len(log.pictures)))


def _order_of_decoding(packets: Sequence[tuple[int | None, int]], pictures: Sequence[Picture | None]) -> Iterator[Step]:
    """The pictures as they were decoded, where timestamps tell; else as FFmpeg said them."""
    shown = {picture.pts: picture for picture in pictures if picture}
    failed = sum(picture is None for picture in pictures)
    times = [pts for pts, _ in packets]
    unique = len(shown) + failed == len(pictures) and len(set(times)) == len(times)
    if not failed or None in times or not unique or not shown.keys() <= set(times):
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
    """How long the stream's pictures last, those that did not decode included."""
    times = [(p.pts, p.duration) for p in log.pictures if p and p.pts is not None]
    if None in log.pictures and len(times) > 0:
        times += [(pts, duration) for pts, duration in log.packets if pts is not None]
    if not times:
        return 0.0
    return (max(pts + duration for pts, duration in times) - min(pts for pts, _ in times)) * log.time_base
