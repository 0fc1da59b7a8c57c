"""Checks of `pipeline doctor` that look at this project's folders, settings and corpus.

Each check imports what it looks at by itself: in a broken installation the others still run.
"""

import json
import shutil
from pathlib import Path

from pipeline.cli.arguments import CONF, DATA
from pipeline.cli.content import DVC, LOCK, cache_folder, stages_run
from pipeline.cli.finding import Finding, fail, ok, size, warn
from pipeline.core.plural import number_of

PARAMS = Path("params.yaml")
FULL, TIGHT = 2**30, 20 * 2**30
"""Bytes of free disk below which stages will fail, and below which a corpus of some size will not fit."""


def disk() -> Finding:
    """There is room where results, unfinished work and DVC's cache lie."""
    from pipeline.core.machine import load_machine

    places: dict[int, list[Path]] = {}
    for place in (DATA, Path(load_machine().scratch), cache_folder()):
        places.setdefault(_existing(place).stat().st_dev, []).append(place)
    free = {names[0]: shutil.disk_usage(_existing(names[0])).free for names in places.values()}
    found = "; ".join(f"{', '.join(map(str, names))}: {size(free[names[0]])} free" for names in places.values())
    if min(free.values()) < FULL:
        return fail(
            found, "Make room. `dvc gc --workspace` empties the cache of all that data/ does not use, experiments too."
        )
    if min(free.values()) < TIGHT:
        return warn(
            found,
            "Enough for the built-in corpus. Frames are held as tar and as LMDB; extract.keep: false drops the tars.",
        )
    return ok(found)


def cache() -> Finding:
    """DVC links outs into data/ instead of copying them."""
    if not DVC.is_dir():
        return fail("no .dvc here", "Run this in the project's root.")
    from dvc.config import Config
    from dvc.fs import LocalFileSystem, generic

    folder, wanted = cache_folder(), Config(DVC)["cache"].get("type") or ["reflink", "copy"]
    local = LocalFileSystem()
    able = generic.test_links(wanted, local, str(_existing(folder)), local, str(_existing(DATA) / "out"))
    if not able:
        text = f"{folder}: none of cache.type {', '.join(wanted)} works between it and data/"
        return fail(text, "`dvc config --local cache.type hardlink,reflink,copy` lets DVC copy where it cannot link.")
    found = f"{folder}: outs become a {able[0]} in data/ (cache.type {', '.join(wanted)})"
    if able[0] != "copy":
        return ok(found)
    if _existing(folder).stat().st_dev != _existing(DATA).stat().st_dev:
        return warn(f"{found}, on another file system", "`dvc cache dir --local FOLDER` names one beside data/.")
    return warn(
        found, "Every out takes its room twice: `dvc config cache.type hardlink,reflink,copy`, if links work here."
    )


def dvc_locks() -> Finding:
    """DVC can read which of its processes runs what."""
    file = DVC / "tmp" / "rwlock"
    try:
        running = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    except ValueError:
        text = f"{file} is damaged: DVC was killed while it wrote the file, and no `dvc repro` starts any more"
        return fail(text, f"Where no DVC is running in this project: `rm {file}`.")
    return ok(f"in use by DVC: {number_of(len(running), 'path')}")


def dvc_lock() -> Finding:
    """DVC can read what its stages ran with, and what they wrote."""
    if not LOCK.is_file():
        return ok(f"no {LOCK}: nothing has run yet")
    stages = stages_run()
    if stages is None:
        text = f"{LOCK} is damaged: DVC was killed while it wrote the file, and no `dvc repro` starts any more"
        return fail(text, f"`rm {LOCK} && dvc repro`: what was finished comes from DVC's cache.")
    return ok(f"{number_of(len(stages), 'stage')} {'has' if len(stages) == 1 else 'have'} run")


def _existing(path: Path) -> Path:
    """The nearest folder that is there already."""
    path = path.absolute()
    return next(folder for folder in (path, *path.parents) if folder.exists())


def corpus() -> Finding:
    """The videos and their annotations lie where section `dataset` says."""
    from pipeline.core import params
    from pipeline.core.manifest import DatasetConfig
    from pipeline.core.remote_folder import corpus_root

    config = params.load("dataset", DatasetConfig)
    if config.generated:
        return ok(f"the built-in one, which `dvc repro` renders to {config.root}")
    settings = {"root": corpus_root(config.root).is_dir()}
    settings |= {"annotations": Path(config.annotations).exists()} if config.annotations != config.root else {}
    settings |= {"classes": Path(config.classes).is_file()} if config.classes else {}
    missing = [f"dataset.{name}: {getattr(config, name)}" for name, there in settings.items() if not there]
    if missing:
        return fail(f"not there: {'; '.join(missing)}", "Set it in conf/dataset/, then `pipeline params`.")
    return ok(f"{config.root}, {config.annotations}")


def settings() -> Finding:
    """The file that `dvc repro` reads, params.yaml, is conf/ composed."""
    from pipeline.cli import compose

    if not PARAMS.is_file():
        return fail(f"{PARAMS} does not exist", "`pipeline params` writes it.")
    try:
        found = compose.differences(PARAMS, CONF)
    except compose.BROKEN as error:
        return fail(f"conf/ and {PARAMS} cannot be compared: {error}", "Mend conf/, then `pipeline params`.")
    if found:
        text = f"{PARAMS} differs from conf/ in {number_of(len(found), 'setting')}: {compose.shortened(found)}"
        return warn(text, "Right after an experiment or overrides; else `pipeline params` takes over what conf/ says.")
    return ok(f"{PARAMS} is conf/ composed")


def scratch() -> Finding:
    """Which finished pieces and resume states wait in the scratch folder, and take room that nothing else takes."""
    from pipeline.core import status
    from pipeline.core.machine import load_machine
    from pipeline.core.scratch import CLAIM

    folder = Path(load_machine().scratch)
    sizes: dict[str, int] = {}
    for file in sorted(folder.rglob("*")):
        linked = file.suffix == CLAIM or file.stat().st_nlink > 1  # shards are hard links to those of data/
        stage, *name = file.relative_to(folder).parts
        if file.is_file() and not linked and stage != status.FOLDER:
            job = f"{stage} {name[0].rpartition('-')[0]}" if stage in ("train", "infer") else stage
            sizes[job] = sizes.get(job, 0) + file.stat().st_size
    if not sizes:
        return ok(f"{folder}: nothing")
    found = ", ".join(f"{job} {size(count)}" for job, count in sizes.items())
    return ok(
        f"{folder}: {found}",
        f"`dvc repro` goes on from it. Where none is under way, `rm -r {folder}` frees it: the "
        "next change of the corpus then extracts all of it.",
    )


CHECKS = (disk, cache, dvc_locks, dvc_lock, corpus, settings, scratch)
