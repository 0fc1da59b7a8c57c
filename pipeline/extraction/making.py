"""How a corpus' shards are made: those that are missing, alone or a share of them, and then what is made of all.

A finished shard is kept in the scratch folder under the fingerprint of all that it was made from, so adding or
replacing one video makes one shard anew, and a run that was killed goes on after the last finished shard.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from pipeline.core import files, scratch
from pipeline.core.progress_bar import progress_bar
from pipeline.core.share import Share
from pipeline.extraction.shard import Shard, finished, is_there, whole

log = logging.getLogger(__name__)

S = TypeVar("S", bound=Shard)
Advance = Callable[[int], Any]
"""What is called with the number of videos that are done."""


def make_all(
    stage: str, store: Path, out: Path, shards: Sequence[S], share: Share | None,
    make: Callable[[Sequence[S], Advance], None], publish: Callable[[], None], sources: Iterable[str] = (),
) -> bool:  # fmt: skip
    """Make the shards that are not in `store`, then `publish` all of them as `out`.

    With a share, only its shards are made; other calls make the others in the same folder. The call after which all are
    there publishes. The value says whether it did.

    Args:
        stage: the name that the progress bar has.
        make: makes the given shards one after another, or on the nodes of a cluster.
        sources: fingerprints of other pieces of the folder, which shards may be made from; they are deleted in the end.
    """

    def make_missing(wanted: Sequence[S], fit: Callable[[Path, Shard], bool] = finished) -> None:
        different = {shard.key: shard for shard in wanted}.values()  # those without a video are all the same
        missing = [shard for shard in different if not fit(store, shard)]
        number = sum(len(shard.rows) for shard in missing)
        log.info("%d of %d shards are to be made (%d videos)", len(missing), len(wanted), number)
        with progress_bar(total=number, desc=stage, unit="video", smoothing=0.1) as bar:
            make(missing, bar.update)

    if share and not scratch.make_share(share, store, out, shards, make_missing, partial(is_there, store)):
        return False
    keys = [shard.key for shard in shards]
    with scratch.alone(store):
        scratch.prune(store, out, [*keys, *sources])  # half-made pieces of a killed run, too
        make_missing(shards, whole if share else finished)  # what all shares have just tried is not tried again
        publish()
        scratch.prune(store, out, keys)
    return True


def make_one(store: Path, shard: S, write: Callable[[S, Path, Advance], dict[str, Any]], advance: Advance) -> None:
    """Make one shard, unless another run has finished it while this one waited for it.

    Args:
        write: writes the file of the shard under the given path, and returns the record: the hash of the file, and the
            outcome of each video.
    """
    with scratch.piece(store, shard.key) as waited:
        if waited and finished(store, shard):
            advance(len(shard.rows))
            return
        with files.aside(shard.file(store)) as aside:
            record = write(shard, aside, advance)
        files.write_json(shard.record(store), record)
