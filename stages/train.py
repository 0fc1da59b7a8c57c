"""Stage `train`: one model -> weights, the recipe that made them, and the training curves.

    python -m stages.train tsm_demo data/manifest.tsv data/classes.txt data/lmdb data/stats data/weights \
        data/features data/models/tsm_demo

    torchrun --nproc-per-node 8 -m stages.train ...     or srun, see docs/scaling.md; the arguments stay the same

Sections arch, options, clip and train of `models.<name>` in params.yaml, dataset.task, and machine, which changes no
recipe. model.safetensors, recipe.json and curves/ appear in the last argument, the first two at the end. SIGTERM and
SIGINT save and stop at the next step (exit status 143, 130). Started again with the same settings, code and data,
a run goes on at the step of its last saved state, however it ended.
"""

from pathlib import Path

from pipeline.class_stats import ClassStatistics
from pipeline.clips.frame_store import FrameStore
from pipeline.core import params
from pipeline.core.machine import load_machine
from pipeline.core.manifest import Manifest
from pipeline.core.task import resolve
from pipeline.features import Features
from pipeline.metrics import TITLE
from pipeline.training.config import ProbeConfig, kind
from pipeline.training.evaluate import key
from pipeline.training.probe import fit_probe
from pipeline.training.trainer import fit
from stages.command import run


def main(
    model: str, manifest: Path, classes: Path, lmdb: Path, stats: Path, pretrained: Path, features: Path, out: Path
) -> None:
    """Train the model that params.yaml describes under `models.<model>`."""
    section, corpus = params.read(f"models.{model}"), Manifest.read(manifest, classes)
    config = kind(section).read(section, f"params.yaml: models.{model}").starting_in(pretrained)
    task, machine = resolve(params.read("dataset.task"), corpus), load_machine()
    if isinstance(config, ProbeConfig):
        done = fit_probe(config, corpus, Features.read(features / model), out, machine, task)
    else:
        done = fit(config, corpus, FrameStore(lmdb), ClassStatistics.read(stats), out, machine, task)
    score = done.history[done.best_epoch][key(task)]
    print(f"{out}: validation {TITLE[task]} {score:.2f} after epoch {done.best_epoch + 1}")


if __name__ == "__main__":
    run(main)
