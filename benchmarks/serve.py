"""Load on `pipeline serve`: requests a second, and what is left after 1,000 good and bad uploads.

    python benchmarks/serve.py                              # tsn_demo of random weights, four clients
    python benchmarks/serve.py --uploads 1000 --clients 8 --model slowfast_demo
    python benchmarks/serve.py --smoke                      # 18 uploads

Every other upload is a second of video; those between are of eight kinds that have no answer, one that hangs up midway
among them. Clients run on the same machine. Time is that of the wall, and CPU time of the server with its FFmpegs.
"""

import argparse
import http.client
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import imageio_ffmpeg
import psutil
import yaml

from pipeline.cli import model_table
from pipeline.cli.arguments import CONF
from pipeline.core.markdown import text_table
from pipeline.runtime.checkpoint import Checkpoint

GOOD = "a second of video"
HANGS_UP = "hangs up midway"
WAIT = 300
"""Seconds for an answer."""
LIMITS = ("--most-megabytes", "0.5", "--most-seconds", "5", "--most-pixels", "100000")
Upload = Callable[[], int]
"""Sends one; returns the status, 0 where nobody waits for it."""


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--uploads", type=int, default=1000)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--model", default="tsn_demo")
    parser.add_argument("--smoke", action="store_true", help="18 uploads")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        project = Path(name)
        prepare(project, args.model)
        with serving(project, args.model) as (process, port):
            measure(process, port, project, 18 if args.smoke else args.uploads, args.clients)


def prepare(project: Path, model: str) -> None:
    """A project with one model of random weights."""
    config = model_table.configs(CONF, [model])[model]
    network, spec = config.build(10)
    sampler = vars(config.clip.sampler)
    recipe = {"arch": config.arch, "options": config.options}
    recipe["clip"] = {"sampler": sampler, "side": config.clip.side, "crop": config.clip.crop}
    classes = tuple(f"class {number}" for number in range(10))
    Checkpoint(network.state_dict(), recipe, classes, spec).write(project / "data/models" / model)
    params = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))
    params["machine"] |= {"scratch": "work", "logs": "logs"}
    params["models"] = {model: {"test": {"clips": 2, "sides": [config.clip.side], "crop": config.clip.crop}}}
    (project / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    (project / "tmp").mkdir()


@contextmanager
def serving(project: Path, model: str) -> Iterator[tuple[psutil.Process, int]]:
    """(process, port) of a server, once it listens."""
    command = [sys.executable, "-m", "pipeline", "serve", "--model", model, "--port", "0", *LIMITS]
    environment = {**os.environ, "PYTHONPATH": ":".join(sys.path), "TMPDIR": str(project / "tmp")}
    process = subprocess.Popen(command, cwd=project, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        assert process.stdout
        said = process.stdout.readline()
        found = re.search(r":(\d+); Ctrl-C", said)
        assert found, said
        yield psutil.Process(process.pid), int(found[1])
    finally:
        process.terminate()
        process.wait()


def uploads(port: int, folder: Path) -> dict[str, Upload]:
    """The kinds of uploads."""
    good = video(folder, "s=160x120:r=30:d=1")
    bodies = {
        GOOD: good,
        "a text": b"Lorem ipsum " * 1000,
        "half of a file": good[: len(good) // 2],
        "zeros in it": good[: len(good) // 4] + bytes(len(good) // 2) + good[len(good) * 3 // 4 :],
        "too long": video(folder, "s=64x48:r=10:d=6"),
        "pictures too large": video(folder, "s=400x300:r=10:d=1"),
        "too many bytes": bytes(1_000_000),
        "empty": b"",
    }
    kinds: dict[str, Upload] = {name: lambda body=body: send(port, body) for name, body in bodies.items()}
    return kinds | {HANGS_UP: lambda: hang_up(port, good)}


def video(folder: Path, source: str) -> bytes:
    """An H.264 file of FFmpeg's test pictures, whose index comes first."""
    file = folder / "it.mp4"
    made = f"-v error -y -f lavfi -i testsrc2={source} -c:v libx264 -pix_fmt yuv420p -movflags faststart {file}"
    subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), *made.split()], check=True)
    return file.read_bytes()


def send(port: int, body: bytes) -> int:
    """Upload one, over a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT)
    try:
        connection.request("POST", "/predict", body)
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()


def hang_up(port: int, body: bytes) -> int:
    """Send half of one, and go."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        head = f"POST /predict HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body[: len(body) // 2])
    return 0


def measure(process: psutil.Process, port: int, project: Path, number: int, clients: int) -> None:
    """Send `number` uploads by `clients` threads, and print what came of them and what is left."""
    kinds = uploads(port, project)
    bad = [name for name in kinds if name != GOOD]
    names = [GOOD if place % 2 == 0 else bad[place // 2 % len(bad)] for place in range(number)]
    taken: dict[tuple[str, int], list[float]] = defaultdict(list)

    def one(name: str) -> None:
        start = time.perf_counter()
        status = kinds[name]()
        taken[name, status].append(time.perf_counter() - start)

    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(one, [*kinds] * clients))  # until threads, caches and descriptors are as many as they get
        settle()
        taken.clear()
        before, cpu, start = state(process, project), seconds(process), time.perf_counter()
        list(pool.map(one, names))
        wall, cpu = time.perf_counter() - start, seconds(process) - cpu
    settle()
    rows = [[name, f"{status or '-'}", f"{len(took)}", f"{1000 * statistics.median(took):.0f}"]
            for (name, status), took in sorted(taken.items())]  # fmt: skip
    print(*text_table(["upload", "status", "number", "ms, median"], rows), sep="\n")
    rate, each = f"{number / wall:.1f} a second", f"{1000 * cpu / number:.0f} ms of CPU each"
    print(f"\n{number} uploads by {clients} clients: {rate}; {each}\n")
    left = [[what, f"{was}", f"{state(process, project)[what]}"] for what, was in before.items()]
    print(*text_table(["of the server", "before", "after"], left), sep="\n")


def settle() -> None:
    """Wait until the last ones that hung up were noticed."""
    time.sleep(3)


def seconds(process: psutil.Process) -> float:
    """CPU time of the server and of the FFmpegs that have ended."""
    times = process.cpu_times()
    return times.user + times.system + times.children_user + times.children_system


def state(process: psutil.Process, project: Path) -> dict[str, int]:
    """What a server holds."""
    folders = [project / "work", project / "tmp"]
    return {
        "temporary files": sum(not path.is_dir() for folder in folders for path in folder.rglob("*")),
        "temporary folders": sum(path.name.startswith(".partial-") for folder in folders for path in folder.rglob("*")),
        "child processes": len(process.children(recursive=True)),
        "open files and sockets": process.num_fds(),
        "threads": process.num_threads(),
        "memory, MiB": process.memory_info().rss // 2**20,
    }


if __name__ == "__main__":
    main()
