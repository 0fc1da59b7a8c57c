"""Stage `weights`: the ImageNet weights that models start from, fetched once.

    python -m stages.weights data/weights

Section `models` of params.yaml: a file <backbone>.safetensors for each backbone of a model with `train.pretrained:
imagenet`, and index.json, which says what was taken from where. A file that is there already is not fetched again.
"""

from pathlib import Path

from pipeline.core import params
from pipeline.pretrained import imagenet
from stages.command import run


def main(out: Path) -> None:
    """Fetch what is asked for and not there yet."""
    index = imagenet.fetch(imagenet.backbones(params.read("models")), out)
    print(f"{out}: ImageNet weights of {', '.join(index) or 'no backbone, as no model asks for them'}")


if __name__ == "__main__":
    run(main)
