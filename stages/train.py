"""Stage `train`: one model -> weights, the recipe that made them, and the training curves, in OUT.

    python -m stages.train tsm_demo data/manifest.tsv data/classes.txt LMDB SOUND FLOW STATS WEIGHTS FEATURES OUT

Sections arch, options, clip and train of `models.<name>`, and dataset.task, of params.yaml. SIGTERM and SIGINT save and
stop (status 143, 130); started again, it goes on. With torchrun or srun before it: docs/scaling.md.
"""

from pathlib import Path

from pipeline.class_stats import ClassStatistics
from pipeline.clips.inputs import store_of
from pipeline.core import params
from pipeline.core.machine import load_machine
from pipeline.core.manifest import Manifest
from pipeline.core.task import resolve
from pipeline.features import Features
from pipeline.training import frozen_config, kinds, probe, trainer
from stages.command import run


def main(
    model: str, manifest: Path, classes: Path, lmdb: Path, sound: Path, flow: Path, stats: Path, pretrained: Path,
    features: Path, out: Path,
) -> None:  # fmt: skip
    """Train the model that params.yaml describes under `models.<model>`."""
    section, corpus = params.read(f"models.{model}"), Manifest.read(manifest, classes)
    config = kinds.kind(section).read(section, f"params.yaml: models.{model}").starting_in(pretrained)
    task, machine = resolve(params.text("dataset.task"), corpus), load_machine()
    if isinstance(config, frozen_config.ProbeConfig):
        probe.fit_probe(config, corpus, Features.read(features / model), out, machine, task)
    else:
        store = store_of(section["clip"], lmdb, sound, flow)
        trainer.fit(config, corpus, store, ClassStatistics.read(stats), out, machine, task)
    print(f"{out}: trained")


if __name__ == "__main__":
    run(main)
