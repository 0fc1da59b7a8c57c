"""Stage `infer`: a trained model -> scores of every view of every val and test video.

    python -m stages.infer NAME MANIFEST CLASSES LMDB SOUND FLOW STATS WEIGHTS OUT, as dvc.yaml has them

Section `models.<name>.test` of params.yaml; all else comes from the checkpoint's recipe. A run that was killed goes on
after its last finished chunk of videos. With `infer.together`, the set's other models are scored in the same pass.
With `--shard 3/16`, the third of sixteen calls, of this model alone: the last that ends writes the predictions.
"""

from pathlib import Path

from pipeline.class_stats import ClassStatistics
from pipeline.clips import inputs
from pipeline.clips.views import ViewConfig
from pipeline.core import params
from pipeline.core.machine import load_machine
from pipeline.core.manifest import Manifest
from pipeline.core.share import Share
from pipeline.inference.run import InferConfig, describe, run_inference
from stages.command import run


def main(
    model: str, manifest: Path, classes: Path, lmdb: Path, sound: Path, flow: Path, stats: Path, weights: Path,
    out: Path, *, shard: Share | None = None,
) -> None:  # fmt: skip
    """Score the val and test split, or a share of their videos."""
    machine, models, clip = load_machine(), params.read("models"), params.read(f"models.{model}.clip")
    together = params.load("infer", InferConfig).together and not machine.uses_ray(shard) and not shard
    names = inputs.alike({name: each["clip"] for name, each in models.items()}, model) if together else [model]
    tests = {name: params.load(f"models.{name}.test", ViewConfig) for name in names}
    store = inputs.tested_store_of(clip, lmdb, sound, flow)
    data = Manifest.read(manifest, classes), store, ClassStatistics.read(stats)
    grid = run_inference(model, tests, *data, weights, out, machine, shard)
    if grid:
        print(f"{out}: {len(grid)} views a video ({', '.join(f'{n} in {name}' for name, n in describe(grid).items())})")


if __name__ == "__main__":
    run(main)
