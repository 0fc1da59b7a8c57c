"""The examples of docs/extending.md do what the page says: each file, put into its open set, is a member that works."""

import importlib
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
import torchvision
import yaml

from pipeline.class_stats import ClassStatistics
from pipeline.cli import compose
from pipeline.core import params, registry
from pipeline.core.errors import UserError
from pipeline.core.manifest import DatasetConfig
from pipeline.pretrained.load import load_pretrained
from pipeline.training.config import LossConfig, ModelConfig
from pipeline.training.mixup import MixConfig
from tests.support import checks

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "docs" / "examples"


@pytest.fixture
def add(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], None]]:
    """Make an example a member of an open set, for one test: `add("losses", "focal")`."""
    added = []

    def add_one(kind: str, name: str) -> None:
        package = importlib.import_module(f"pipeline.{kind.replace('/', '.')}")
        folder = tmp_path / "pipeline" / kind
        folder.mkdir(parents=True)
        shutil.copy(EXAMPLES / f"{name}.py", folder)
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(folder)])
        added.append((package, name))

    yield add_one
    for package, name in added:
        sys.modules.pop(f"{package.__name__}.{name}", None)
        vars(package).pop(name, None)


def test_the_model_gives_logits_and_learns(add, tmp_path):
    add("models", "c3d")
    conf = tmp_path / "conf"
    shutil.copytree(ROOT / "conf", conf)
    shutil.copy(EXAMPLES / "c3d_demo.yaml", conf / "model")

    models = yaml.safe_load(compose.text(conf, ["model=c3d_demo"]))["models"]
    config = ModelConfig.read(models["c3d_demo"], "models.c3d_demo")
    torch.manual_seed(0)
    network, spec = config.build(checks.CLASSES)
    frames, side = config.clip.sampler.frames, config.train.augment.crop

    assert spec.mean == (0.45, 0.45, 0.45)
    assert network(checks.clips(2, frames, side)).shape == (2, checks.CLASSES)
    checks.assert_every_parameter_learns(network, checks.clips(2, frames, side))
    learner = registry.find("models", "c3d").build(checks.CLASSES, dropout=0.0)
    checks.assert_learns(learner, checks.clips(8, frames, side))
    with pytest.raises(UserError, match="depth must be at least 1"):
        ModelConfig(config.arch, {"depth": 0}, config.clip, config.train).build(checks.CLASSES)


def test_the_loss_is_cross_entropy_less_what_is_known_and_has_a_finite_gradient(add):
    add("losses", "focal")
    statistics = ClassStatistics(("a", "b"), torch.tensor([3, 5]).numpy(), videos=6)
    logits = torch.tensor([[0.3, -2.0], [1e4, -1e4], [-1e4, 1e4]], requires_grad=True)
    targets = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])

    loss = LossConfig("focal", {"focal": {"scale": 160.0}}).build(statistics, MixConfig())
    value = loss(logits, targets)
    value.backward()

    known = torch.sigmoid(logits[:1].detach() * torch.tensor([1.0, -1.0]))  # probability of the right answer
    expected = 160 * (-((1 - known) ** 2) * known.log()).mean()
    torch.testing.assert_close(loss(logits[:1], targets[:1]), expected)
    partly, row = torch.tensor([[1.0, -1.0]]), torch.tensor([[0.3, -2.0]])
    torch.testing.assert_close(loss(row, partly), loss(row[:, :1], partly[:, :1]) / 2)
    assert value.isfinite()
    assert logits.grad.isfinite().all()
    with pytest.raises(UserError, match="scale must be greater than 0"):
        LossConfig("focal", {"focal": {"scale": 0.0}}).build(statistics, MixConfig())


def dataset(root: Path, annotations: Path) -> DatasetConfig:
    return params.build(
        DatasetConfig,
        yaml.safe_load((ROOT / "params.yaml").read_text())["dataset"]
        | {"format": "json_lines", "root": str(root), "annotations": str(annotations)},
        "dataset",
    )


def test_the_corpus_is_a_manifest(add, tmp_path):
    add("datasets", "json_lines")
    annotations = tmp_path / "labels.jsonl"
    annotations.write_text(
        '{"path": "a.mp4", "labels": ["run", "jump"], "split": "train"}\n'
        '{"path": "b.mp4", "labels": ["run"], "split": "val"}\n'
        '{"path": "c.mp4", "labels": [], "split": "test"}\n'
    )
    config = dataset(tmp_path, annotations)

    manifest = registry.find("datasets", config.format).read(config)

    assert manifest.classes == ("jump", "run")
    assert manifest.table["video"].tolist() == ["a.mp4", "b.mp4", "c.mp4"]
    assert manifest.table["labels"].tolist() == ["run;jump", "run", ""]
    assert manifest.targets().tolist() == [[True, True], [False, True], [False, False]]
    annotations.write_text(
        '{"path": "a.mp4", "labels": ["jump", "?run"], "split": "train"}\n'
        '{"path": "b.mp4", "labels": ["run"], "split": "train"}\n'
        '{"path": "c.mp4", "labels": ["?jump", "run"], "split": "val"}\n'
        '{"path": "d.mp4", "labels": [], "split": "test"}\n'
    )
    manifest = registry.find("datasets", config.format).read(config)
    assert manifest.classes == ("jump", "run")  # `?run`: nobody knows whether the video shows it
    assert manifest.targets().tolist() == [[1, -1], [0, 1], [-1, 1], [0, 0]]
    annotations.write_text('{"path": "a.mp4", "labels": ["run"], "split": "train"}\n{"path": "b.mp4"}\n')
    with pytest.raises(UserError, match=r"labels\.jsonl, line 2: .*'labels'"):
        registry.find("datasets", config.format).read(config)


def test_the_importer_loads_a_checkpoint_whose_logits_stay_the_same(add, tmp_path):
    add("pretrained/importers", "mmpretrain")
    theirs = torchvision.models.resnet18(num_classes=checks.CLASSES).eval()
    layout = {
        name.replace("fc.", "head.fc.") if name.startswith("fc.") else f"backbone.{name}": tensor
        for name, tensor in theirs.state_dict().items()
    }
    torch.save({"meta": {"epoch": 100}, "state_dict": layout}, tmp_path / "resnet18.pth")
    ours = registry.find("models", "tsn").build(checks.CLASSES, backbone="resnet18").eval()

    report = load_pretrained(ours, tmp_path / "resnet18.pth")

    assert report.source == "mmpretrain"
    assert not report.classifier_replaced
    clip = checks.clips(2, 1, 64)
    with torch.no_grad():
        torch.testing.assert_close(ours(clip), theirs(clip[:, :, 0]), rtol=1e-4, atol=1e-4)
