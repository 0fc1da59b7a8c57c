"""Training of a probe: the linear layer on the features of a frozen network, fitted to its optimum.

A cross-validation over the train videos, whose parts tear no group apart, compares every weight decay with every weight
of what is there beside what changes. The val videos choose nothing.
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric.utilities.rank_zero import rank_zero_only
from torch import Tensor

from pipeline import metrics, verdict
from pipeline.core import files, groups, stratify
from pipeline.core.errors import UserError
from pipeline.core.labels import shown
from pipeline.core.machine import Machine
from pipeline.core.manifest import Manifest
from pipeline.core.task import Task, noted
from pipeline.features import Features
from pipeline.models.probe import Probe
from pipeline.pretrained.load import load_pretrained
from pipeline.runtime import fingerprint
from pipeline.runtime.checkpoint import Checkpoint
from pipeline.training.config import ProbeConfig
from pipeline.training.evaluate import key
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
    network, spec, start = frozen(config, len(manifest.classes))
    if features.about != start:
        raise UserError(f"The features are not those of {out.name}. `dvc repro features@{out.name}` makes them anew.")
    parts, targets = Parts(network.sizes, features.of(train.videos)), torch.from_numpy(train.targets()).double()
    compared = compare(config, train, features.groups, parts, targets, task)
    logger = EpochLogger.start(out, len(compared), compared, task)
    chosen = max(compared, key=lambda row: (row[held_out(metrics.HEADLINE[task])], -row[held_out("loss")]))
    _solve(network, parts, targets, config.train.decays, chosen, task)
    logits = _logits(network, features, val)
    result: dict[str, Any] = {"chosen": chosen}
    if len(val):
        result |= {key(task): metrics.headline(task, logits, val.targets())}
    data = {"features": files.fingerprint(dict(features.about)), "labels": files.fingerprint(_labels(good))}
    data |= {"groups": files.fingerprint(groups.of_each(train.videos, features.groups))}
    recipe = {**config.plain(), **noted(task), "data": data, "versions": fingerprint.versions()}
    recipe |= {"pretrained": start["pretrained"], "result": result}
    Checkpoint(network.state_dict(), recipe, manifest.classes, spec).write(out)
    logger.end()
    log.info(
        "%s: %d train videos; best of %d settings in the cross-validation: %s %.1f with decay %g and appearance %g",
        out.name, len(train), len(compared), metrics.SHORT[task], chosen[held_out(metrics.HEADLINE[task])],
        chosen["decay"], chosen["appearance"],
    )  # fmt: skip
    for line in verdict.of_training(task, logits, val.targets(), history=()) if len(val) else ():
        log.info("%s", line)


def held_out(figure: str) -> str:
    """The name under which the curves keep a figure of train videos that the cross-validation held out."""
    return f"held_out/{figure}"


def frozen(config: ProbeConfig, classes: int) -> tuple[Probe, Any, dict[str, Any]]:
    """The network with its frozen weights, the input that these expect, and what its features depend on."""
    network, spec = config.build(classes)
    assert isinstance(network, Probe)
    report = load_pretrained(network, config.train.pretrained)
    made = {key: config.plain()[key] for key in ("arch", "options", "clip")}
    pretrained = {"source": report.source, "sha256": report.sha256}
    return network, report.input or spec, _plain({**made, "pretrained": pretrained})


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

    def write(self, network: Probe, coefficients: Tensor, bias: Tensor, appearance: float) -> None:
        """Write the linear layer that coefficients (V, C) and biases (C,) of the train videos' kernel mean."""
        weights = [
            (coefficients.T.float() @ part) * (scale**2 * (appearance**2 if number % 2 == 0 else 1))
            for number, (part, scale) in enumerate(zip(self.parts, self.scales, strict=True))
        ]
        weight = torch.cat(weights, dim=1)
        with torch.no_grad():
            network.classifier.weight.copy_(weight)
            network.classifier.bias.copy_(bias - (weight.double() @ self.means.double()))


def compare(
    config: ProbeConfig, train: Manifest, of_groups: Any, parts: Parts, targets: Tensor, task: Task
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
    history = []
    for appearance in settings.appearance:
        kernel = parts.kernel(appearance)[rows][:, rows]
        by_decay = _held_out(kernel, targets[rows], fold, settings.decays, task)
        for decay, logits in zip(settings.decays, by_decay, strict=True):
            figures = {
                "loss": float(losses(logits, targets[rows], task).mean()),
                metrics.HEADLINE[task]: metrics.headline(task, logits.numpy(), targets[rows].numpy()),
            }
            found = {held_out(name): figure for name, figure in figures.items()}
            history.append({**found, "decay": decay, "appearance": appearance})
    return history


def _solve(
    network: Probe, parts: Parts, targets: Tensor, decays: Sequence[float], chosen: Mapping[str, float], task: Task
) -> None:
    """Fit the network's layer to all train videos, with the settings that were chosen."""
    falling = [decay for decay in decays if decay >= chosen["decay"]]  # each starts where the last ended
    *_, (coefficients, bias) = solve(parts.kernel(chosen["appearance"]), targets, falling, task)
    parts.write(network, coefficients, bias, chosen["appearance"])


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


def _logits(network: Probe, features: Features, videos: Manifest) -> np.ndarray:
    """Logits float32 (V, C) of some videos."""
    with torch.inference_mode():
        logits: np.ndarray = network.classifier(torch.from_numpy(features.of(videos.videos))).numpy()
    return logits


def _labels(manifest: Manifest) -> list[Any]:
    values: list[Any] = manifest.table[["video", "split", "labels"]].values.tolist()
    return [values, list(manifest.classes)]


def _plain(value: Any) -> Any:
    """The same with lists for tuples, as JSON gives it back."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
