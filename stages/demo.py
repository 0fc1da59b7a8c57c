"""Stage `demo`: render the built-in corpus as real video files.

    python -m stages.demo data/demo

Section `demo` of params.yaml. Only part of the pipeline where dataset.generated says so.
"""

from pathlib import Path

from pipeline.core import params
from pipeline.core.machine import load_machine
from pipeline.demo.corpus import DemoConfig, render_corpus
from stages.command import run


def main(out: Path) -> None:
    """Render the corpus to `out`."""
    machine = load_machine()
    render_corpus(out, params.load("demo", DemoConfig), machine.processes, machine.ffmpeg_path())
    print(f"{out}: {sum(1 for _ in out.rglob('*.mp4'))} video files")


if __name__ == "__main__":
    run(main)
