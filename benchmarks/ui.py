"""What a page of `pipeline ui` costs: CPU milliseconds of one request, through Starlette's test client.

    python benchmarks/ui.py                 # 100,000 videos x 50 classes x 3 members
    python benchmarks/ui.py --smoke         # a small run

The run is made up and has no frames. A request is repeated; the median counts, of the CPU time of all threads. The
client's own work, which a browser does elsewhere, is in it.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import psutil
from rows import many_videos
from starlette.testclient import TestClient

from pipeline.ui.app import App, application
from pipeline.ui.catalogue import Catalogue
from pipeline.ui.marks import Marks
from pipeline.ui.media import Media

REQUESTS = {
    "all videos": "/",
    "name contains, last page": "/?name=99&page={last}",
    "label, split, order by lowest label": "/?label=class+001&split=val&sort=label",
    "status broken": "/?status=broken",
    "score of a class, wrong, by confidence": "/?of=class+002&low=0.3&outcome=wrong&sort=confident",
    "members apart, order by that": "/?apart=0.4&sort=apart",
    "one video, in that order": "/video/1?apart=0.4&sort=apart",
}
"""What is measured -> the address that is asked for."""
REPEATS = 15


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=int, default=100_000)
    parser.add_argument("--classes", type=int, default=50)
    parser.add_argument("--members", type=int, default=3)
    parser.add_argument("--smoke", action="store_true", help="a small run")
    args = parser.parse_args()
    videos = 2000 if args.smoke else args.videos
    with tempfile.TemporaryDirectory() as name:
        measure(Path(name), videos, args.classes, args.members, 2 if args.smoke else REPEATS)


def measure(folder: Path, videos: int, classes: int, members: int, repeats: int) -> None:
    """Make a run in a folder, and measure starts and requests."""
    many_videos.write(folder / "data", videos, classes, members)
    print(f"{videos:,} videos x {classes} classes x {members} members\n\n| | CPU ms | wall ms |\n|---|---:|---:|")
    for start in ("first start", "later start"):
        before = time.process_time(), time.perf_counter()
        catalogue = Catalogue.read(folder / "data", folder / "scratch")
        print(f"| {start} | {_since(before)} |")
    app = App(catalogue, Media(catalogue, folder, folder / "none"), Marks(folder / "marks.csv"), "made up")
    client = TestClient(application(app), base_url="http://127.0.0.1:8000")
    last = -(-sum("99" in one for one in catalogue.videos.to_pylist()) // 48)
    for what, address in REQUESTS.items():
        took = [_ask(client, address.format(last=last)) for _ in range(repeats)]
        cpu, wall = (statistics.median(each) for each in zip(*took, strict=True))
        print(f"| {what} | {cpu:.1f} | {wall:.1f} |")
    print(f"\nmemory of the process: {psutil.Process().memory_info().rss / 2**20:,.0f} MiB")


def _ask(client: TestClient, address: str) -> tuple[float, float]:
    before = time.process_time(), time.perf_counter()
    assert client.get(address).status_code == 200, address
    return 1000 * (time.process_time() - before[0]), 1000 * (time.perf_counter() - before[1])


def _since(before: tuple[float, float]) -> str:
    return f"{1000 * (time.process_time() - before[0]):.0f} | {1000 * (time.perf_counter() - before[1]):.0f}"


if __name__ == "__main__":
    main()
