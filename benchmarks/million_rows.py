"""What a million videos ask of everything that handles rows: seconds, CPU seconds and memory of each stage.

    python benchmarks/million_rows.py                   # the report's corpus: 1,025,862 videos of 313 classes
    python benchmarks/million_rows.py --rows 20000      # a small one
    python benchmarks/million_rows.py --steps 4         # stage `index` alone
    python benchmarks/million_rows.py --class-folders   # one label a video, its folder; a seed draws the splits

The corpus is made up: sparse files of some kilobytes, one tiny frame of each video that is not broken, and logits of 31
views (5 clips x 3 crops x 2 scales, and the centre) of 14 members for the held-out videos. No video is decoded and no
network runs, so what is left is the cost of the rows. Stages run as DVC runs them, `python -m stages.<stage>`, and what
is only a part of a stage as a function of a file in benchmarks/rows, each in a process of its own. Nothing large is
imported here, as the peak of a process begins with that of the one that starts it.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
ROWS = Path(__file__).parent / "rows"
CORPUS, GROUPS, METRICS = "data/manifest.tsv data/classes.txt", "data/groups.tsv", "data/metrics.json"
DOUBLES = "data/doubles.tsv"
PAGE = (
    f"data/frames/index.tsv data/broken.tsv {DOUBLES} data/lmdb data/stats data/models data/predictions data/ensemble"
)
STEPS = {
    "made up: videos and labels": "made_up.py make_videos",
    "index, all files new": f"-m stages.index {CORPUS} {GROUPS} {DOUBLES}",
    "index, no file new": f"-m stages.index {CORPUS} {GROUPS} {DOUBLES}",
    "index: doubles alone": "made_up.py find_doubles",
    "check_corpus": f"-m stages.check_corpus {CORPUS} {GROUPS} data/corpus_checked.txt",
    "extract: plan of the shards": "made_up.py plan_shards",
    "made up: frames": "made_up.py make_frames",
    "stats": f"-m stages.stats {CORPUS} data/broken.tsv data/stats",
    "train: order of an epoch": "training.py draw_epoch",
    "train: loader": "training.py load_clips",
    "infer: files of one member": "made_up.py write_member",
    "made up: the other members": "made_up.py make_members",
    "ensemble": f"-m stages.ensemble {CORPUS} data/stats data/predictions data/ensemble {METRICS}",
    "report": f"-m stages.report {CORPUS} {PAGE} {METRICS} data/overrides.json data/report",
}
"""What is measured, in order: a stage with its arguments, or a function of a file in benchmarks/rows."""


def measure(folder: Path, arguments: list[str]) -> str:
    """Run Python with these arguments in a folder: its seconds, CPU seconds and peak memory, as cells of a table."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    start = time.perf_counter()
    with (folder / "log.txt").open("wb") as log:
        process = subprocess.Popen([sys.executable, *arguments], cwd=folder, env=environment, stdout=log, stderr=log)
        _, status, used = os.wait4(process.pid, 0)  # its own children included; the peak is that of the largest process
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    text = (folder / "log.txt").read_text(encoding="utf-8")
    if process.returncode:
        sys.exit(f"{' '.join(arguments)} failed:\n{text}")
    said = next((line.removeprefix("> ") for line in text.splitlines() if line.startswith("> ")), "")
    return f"{seconds:9.1f} | {used.ru_utime + used.ru_stime:9.1f} | {used.ru_maxrss / 2**20:8.2f} | {said}"


def write_settings(folder: Path, members: int, class_folders: bool, share: float) -> None:
    """Write the params.yaml of a project in this folder: ours, with this corpus, 512 shards and so many members.

    Where a seed draws the splits, val and test get the same `share` of the videos.
    """
    settings = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    kind = ("class_folders", "videos") if class_folders else ("folder", "labels.csv")
    settings["dataset"] |= {"format": kind[0], "root": "videos", "annotations": kind[1], "generated": []}
    settings["dataset"] |= {"val_share": share, "test_share": share}
    settings["extract"]["shards"] = 512
    settings["ensemble"] |= {"members": [f"m{number:02d}" for number in range(members)], "subsets": {"half": ["m0?"]}}
    settings["machine"]["scratch"] = "scratch"
    (folder / "params.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_025_862, help="videos of the corpus")
    parser.add_argument("--steps", type=int, default=len(STEPS), help="how many of the steps, from the first")
    parser.add_argument("--members", type=int, default=14, help="members of the ensemble")
    parser.add_argument("--class-folders", action="store_true", help="labels are folders, and not a CSV")
    parser.add_argument("--scratch", type=Path, help="folder on a disk with room for 10 GB; else the system's")
    options = parser.parse_args()
    sizes = options.rows, min(10_000, options.rows // 10), options.members
    print(f"{options.rows:,} videos, of which {sizes[1]:,} val and as many test; {options.members} members\n")
    print("| step | seconds | CPU seconds | peak GiB | |\n|---|--:|--:|--:|---|", flush=True)
    with tempfile.TemporaryDirectory(dir=options.scratch) as name:
        write_settings(Path(name), options.members, options.class_folders, sizes[1] / sizes[0])
        (Path(name) / "data").mkdir()
        (Path(name) / "data" / "overrides.json").write_text("[]", encoding="utf-8")  # of stage `check`
        for title, step in list(STEPS.items())[: options.steps]:
            first, *others = step.split()
            arguments = [first, *others] if first == "-m" else [str(ROWS / first), *others, *map(str, sizes)]
            print(f"| {title:28} | {measure(Path(name), arguments)} |", flush=True)


if __name__ == "__main__":
    main()
