"""Training of a probe: a linear layer on the features of a frozen network, fitted to its optimum, or an attentive head.

A cross-validation over the train videos, whose parts tear no group apart, compares settings: of a linear layer every
weight decay with every weight of what is there beside what changes, of an attentive head (attentive.py) every learning
rate with every weight decay; and the one head with the other, where that is open. The val videos choose nothing.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from lightning_fabric.utilities.rank_zero import rank_zero_only
from torch import Tensor

from pipeline import metrics, verdict
from pipeline.core import files, groups, stratify
from pipeline.core.errors import UserError
from pipeline.core.labels import shown
from pipeline.core.limits import LINEAR_VIDEOS
from pipeline.core.machine import Machine
from pipeline.core.manifest import Manifest
from pipeline.core.task import Task, noted
from pipeline.features import Features
from pipeline.layers.frozen import OPEN, Frozen
from pipeline.pretrained.load import load_pretrained
from pipeline.runtime import fingerprint
from pipeline.runtime.checkpoint import Checkpoint
from pipeline.training.attentive import Attentive
from pipeline.training.evaluate import key
from pipeline.training.frozen_config import ENCODERS, EncoderTrainConfig, ProbeConfig, ProbeTrainConfig
from pipeline.training.logger import EpochLogger
from pipeline.training.logistic import losses, solve

log = logging.getLogger(__name__)


@rank_zero_only
def fit_probe(
    config: ProbeConfig, manifest: Manifest, features: Features, out: Path, machine: Machine, task: Task
) -> None:
    """Fit a probe and write its checkpoint, and the settings that were compared, to `out`.

    Of several processes the first does it all.

    Raises:
        UserError: the features are of another network, or all train videos are of one group.
    """
    torch.set_num_threads(machine.threads)
    good = manifest.without(set(manifest.videos) - set(features.videos))
    train, val = good.split("train"), good.split("val")
    tried = [_Tried.of(each, train, features, out.name, task) for each in with_each_head(config, len(train))]
    best = max(tried, key=lambda each: _order(each.chosen, task))
    logger = EpochLogger.start(out, len(best.compared), best.compared, task)
    best.head.fit(best.chosen)
    logits = best.head.scores(features.of(val.videos))
    result: dict[str, Any] = {"chosen": best.chosen}
    if len(tried) > 1:
        result["heads"] = {each.config.options["head"]: each.chosen[held_out(metrics.HEADLINE[task])] for each in tried}
    if len(val):
        result |= {key(task): metrics.headline(task, logits, val.targets())}
    data = {"features": files.fingerprint(dict(features.about)), "labels": files.fingerprint(_labels(good))}
    data |= {"groups": files.fingerprint(groups.of_each(train.videos, features.groups))}
    recipe = {**best.config.plain(), **noted(task), "data": data, "versions": fingerprint.versions(config.arch)}
    about = features.about
    recipe |= {key: about[key] for key in ("pretrained", "licence") if key in about} | {"result": result}
    Checkpoint(best.network.state_dict(), recipe, manifest.classes, best.spec).write(out)
    logger.end()
    for each in tried:
        log.info("%s: %d train videos; %s", out.name, len(train), each.in_words(task))
    if len(tried) > 1:
        log.info("%s: the %s head is taken", out.name, best.config.options["head"])
    for line in verdict.of_training(task, logits, val.targets(), history=()) if len(val) else ():
        log.info("%s", line)


@dataclass(frozen=True)
class _Tried:
    """A head, and what the cross-validation says of its settings."""

    config: ProbeConfig
    network: Frozen
    spec: Any
    head: "Linear | Attentive"
    compared: list[dict[str, float]]
    """What each pair of settings scores on videos that were held out."""
    chosen: dict[str, float]
    """The best of them."""

    @classmethod
    def of(cls, config: ProbeConfig, train: Manifest, features: Features, name: str, task: Task) -> Self:
        """Compare the settings of a head.

        Raises:
            UserError: the features are of another network, or all train videos are of one group.
        """
        network, spec, start = frozen(config, len(train.classes))
        if features.about != start:
            raise UserError(f"The features are not those of {name}. `dvc repro features@{name}` makes them anew.")
        head = head_of(network, config, features.of(train.videos), train, task)
        compared = compare(config, train, features.groups, head, task)
        return cls(config, network, spec, head, compared, max(compared, key=lambda row: _order(row, task)))

    def in_words(self, task: Task) -> str:
        """The best settings in words."""
        settings = {name: value for name, value in self.chosen.items() if not name.startswith(held_out(""))}
        return (
            f"best of {len(self.compared)} settings in the cross-validation: {metrics.SHORT[task]} "
            f"{self.chosen[held_out(metrics.HEADLINE[task])]:.1f} with "
            f"{' and '.join(f'{setting} {value:g}' for setting, value in settings.items())}"
        )


def with_each_head(config: ProbeConfig, videos: int) -> list[ProbeConfig]:
    """The configurations that are compared on so many train videos: of the head `auto` one for each, else one."""
    if config.arch not in ENCODERS or config.options.get("head", OPEN) != OPEN:
        return [config]
    heads = ["attentive", "linear"][: 2 if videos <= LINEAR_VIDEOS else 1]  # what takes most memory is the last
    return [replace(config, options={**config.options, "head": head}) for head in heads]


def _order(row: Mapping[str, float], task: Task) -> tuple[float, float]:
    """What the better settings have more of."""
    return row[held_out(metrics.HEADLINE[task])], -row[held_out("loss")]


def held_out(figure: str) -> str:
    """The name under which the curves keep a figure of train videos that the cross-validation held out."""
    return f"held_out/{figure}"


def frozen(config: ProbeConfig, classes: int) -> tuple[Frozen, Any, dict[str, Any]]:
    """The network with its frozen weights, the input that these expect, and what its features depend on.

    The head is at the start that the seed gives.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.train.seed)
        network, spec = config.build(classes)
    assert isinstance(network, Frozen)
    report = load_pretrained(network, config.train.pretrained)
    log.info("%s", report)  # its licence, above all
    made = {key: config.plain()[key] for key in ("arch", "options", "clip")}
    made["options"] = {key: value for key, value in made["options"].items() if key not in network.HEAD_OPTIONS}
    return network, report.input or spec, _plain({**made, **report.of_recipe()})


def head_of(
    network: Frozen, config: ProbeConfig, features: np.ndarray, train: Manifest, task: Task
) -> "Linear | Attentive":
    """The head of a network, with the features (V, D) of the train videos that it is to learn from."""
    targets = torch.from_numpy(train.targets())
    if not network.attentive:
        return Linear(network, features, targets.double(), config.train, task)
    assert isinstance(config.train, EncoderTrainConfig)
    return Attentive(network, features, targets, config.train.attentive, config.train.seed, task)


class Parts:
    """The features of the train videos, in the parts that weigh apart: what is there, and what changes.

    Each part of each scale has its mean taken off and is scaled to a mean squared norm of 1.
    """

    def __init__(self, sizes: Sequence[int], values: np.ndarray) -> None:
        self.means = torch.from_numpy(values.mean(axis=0, dtype=np.float64)).float()
        centred = torch.from_numpy(values) - self.means
        self.parts = list(centred.split(list(sizes), dim=1))
        norms = [part.double().square().sum(dim=1).mean().sqrt() for part in self.parts]
        self.scales = [1 / float(norm) if norm > 0 else 0.0 for norm in norms]
        kernels = [
            (part.double() @ part.double().T) * scale**2 for part, scale in zip(self.parts, self.scales, strict=True)
        ]
        self.there, self.changing = sum(kernels[0::2]), sum(kernels[1::2])

    def kernel(self, appearance: float) -> Tensor:
        """Products of every two train videos, float64 (V, V)."""
        kernel: Tensor = self.changing + appearance**2 * self.there
        return kernel

    def write(self, network: Frozen, coefficients: Tensor, bias: Tensor, appearance: float) -> None:
        """Write the linear layer that coefficients (V, C) and biases (C,) of the train videos' kernel mean."""
        weights = [
            (coefficients.T.float() @ part) * (scale**2 * (appearance**2 if number % 2 == 0 else 1))
            for number, (part, scale) in enumerate(zip(self.parts, self.scales, strict=True))
        ]
        weight = torch.cat(weights, dim=1)
        with torch.no_grad():
            network.classifier.weight.copy_(weight)
            network.classifier.bias.copy_(bias - (weight.double() @ self.means.double()))


class Linear:
    """The linear layer of a network, which is fitted to features (V, D) of V videos with targets float64 (V, C)."""

    def __init__(
        self, network: Frozen, features: np.ndarray, targets: Tensor, config: ProbeTrainConfig, task: Task
    ) -> None:
        read = network.parts(torch.from_numpy(features)).numpy()
        self.network, self.parts, self.targets = network, Parts(network.sizes, read), targets
        self.config, self.task = config, task

    def held_out(self, rows: np.ndarray, fold: np.ndarray) -> Iterator[tuple[dict[str, float], Tensor]]:
        """Each pair of settings, and the logits (R, C) of the R rows by layers that were fitted without their fold."""
        for appearance in self.config.appearance:
            kernel = self.parts.kernel(appearance)[rows][:, rows]
            by_decay = _held_out(kernel, self.targets[rows], fold, self.config.decays, self.task)
            for decay, logits in zip(self.config.decays, by_decay, strict=True):
                yield {"decay": decay, "appearance": appearance}, logits

    def fit(self, chosen: Mapping[str, float]) -> None:
        """Fit the layer to all videos, with the settings that were chosen."""
        falling = [
            decay for decay in self.config.decays if decay >= chosen["decay"]
        ]  # each starts where the last ended
        *_, (coefficients, bias) = solve(self.parts.kernel(chosen["appearance"]), self.targets, falling, self.task)
        self.parts.write(self.network, coefficients, bias, chosen["appearance"])

    def scores(self, features: np.ndarray) -> np.ndarray:
        """Features (V, D) -> logits float32 (V, C)."""
        with torch.inference_mode():
            logits: np.ndarray = self.network.read(torch.from_numpy(features)).numpy()
        return logits


def compare(
    config: ProbeConfig, train: Manifest, of_groups: Any, head: Linear | Attentive, task: Task
) -> list[dict[str, float]]:
    """What each pair of settings scores on train videos that were held out: headline metric, loss, and the settings."""
    settings = config.train
    rng = np.random.default_rng(settings.seed)
    rows = np.sort(rng.permutation(len(train))[: settings.most])
    labels = [shown(train.table["labels"][row]) for row in rows]
    together = groups.of_each([train.videos[row] for row in rows], of_groups)
    number = min(settings.folds, len(set(together or rows)))
    if number < 2:
        raise UserError(
            f"All {len(rows)} train videos are of one group, which no cross-validation may tear apart, so nothing can "
            "choose the settings of the probe. Bring videos of other groups, or leave the probe out of the set."
        )
    fold = np.array(stratify.stratified(labels, [1 / number] * number, settings.seed, together))
    targets = torch.from_numpy(train.targets()).double()[rows]
    history = []
    for compared, logits in head.held_out(rows, fold):
        figures = {
            "loss": float(losses(logits, targets, task).mean()),
            metrics.HEADLINE[task]: metrics.headline(task, logits.numpy(), targets.numpy()),
        }
        history.append({**{held_out(name): figure for name, figure in figures.items()}, **compared})
    return history


def _held_out(kernel: Tensor, targets: Tensor, fold: np.ndarray, decays: Sequence[float], task: Task) -> Tensor:
    """Logits (number of decays, V, C) of every video, by a layer that was fitted without its fold."""
    logits = kernel.new_zeros(len(decays), *targets.shape)
    for number in range(int(fold.max()) + 1):
        out = np.flatnonzero(fold == number)
        rest = np.flatnonzero(fold != number)
        solved = solve(kernel[rest][:, rest], targets[rest], decays, task)
        for place, (coefficients, bias) in enumerate(solved):
            logits[place, out] = kernel[out][:, rest] @ coefficients + bias
    return logits


def _labels(manifest: Manifest) -> list[Any]:
    values: list[Any] = manifest.table[["video", "split", "labels"]].values.tolist()
    return [values, list(manifest.classes)]


def _plain(value: Any) -> Any:
    """The same with lists for tuples, as JSON gives it back."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
