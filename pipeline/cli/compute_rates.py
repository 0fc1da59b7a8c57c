"""How fast this machine computes the networks of a plan: operations a second of training and of testing.

CPU time is what counts where the CPU works, so that a busy machine measures as an idle one; the time of a GPU is by the
clock.
"""

import resource
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from lightning_fabric import Fabric

from pipeline.cli import model_table
from pipeline.cli.arguments import CLASSES
from pipeline.core import registry
from pipeline.core.machine import Machine
from pipeline.layers.normalize import normalize
from pipeline.runtime import distributed
from pipeline.training.config import ModelConfig
from pipeline.training.frozen_config import ProbeConfig
from pipeline.training.hearing_config import HearingConfig
from pipeline.training.kinds import kind


def speeds(every: Mapping[str, Any], machine: Machine) -> dict[str, Any]:
    """Speeds of the networks, as `Rates` has them: the cheapest of each kind is timed, and stands for the rest."""
    configs = {name: kind(section).read(section, f"models.{name}") for name, section in every["models"].items()}
    gmacs = {name: model_table.cost(config)[1] for name, config in configs.items()}
    fabric = distributed.launch(replace(machine, devices=1))
    timed: dict[Any, tuple[str, float, float]] = {}
    for name in sorted(configs, key=gmacs.__getitem__):
        if (which := _kind_of(configs[name])) not in timed:
            timed[which] = (name, *_of_network(configs[name], gmacs[name], fabric))
    of = {name: timed[_kind_of(config)] for name, config in configs.items()}
    device = "the CPU" if fabric.device.type == "cpu" else torch.cuda.get_device_name(fabric.device)
    return {
        "flops": {name: training for name, (_, training, _) in of.items()},
        "test_flops": {name: testing for name, (_, _, testing) in of.items()},
        "measured_on": {name: representative for name, (representative, _, _) in of.items()},
        "device": f"{device} ({machine.threads} threads, precision {machine.precision})",
    }


def _kind_of(config: ModelConfig | ProbeConfig) -> tuple[str, bool]:
    """What models of like speed share: a network over images or over clips, depthwise or not, trained or frozen."""
    backbone = str(config.options.get("backbone", ""))
    light = any(word in backbone for word in ("mobilenet", "efficientnet"))
    if isinstance(config, HearingConfig):
        return "sound", light
    alone = isinstance(config, ProbeConfig) or hasattr(registry.find("models", config.arch), "EXTRA")
    return (config.arch if alone else str(config.clip.sampler.kind)), light


def _of_network(config: ModelConfig | ProbeConfig, gmacs: float, fabric: Fabric) -> tuple[float, float]:
    """Operations a second of a training step and of a pass of testing, with two clips."""
    network, spec = config.build(CLASSES)
    if distributed.suits_channels_last(network, fabric):
        distributed.to_channels_last(network)
    model = fabric.setup_module(network)
    if isinstance(config, HearingConfig):
        noise = torch.randint(-(2**15), 2**15, (2, config.clip.samples), dtype=torch.int16, device=fabric.device)
    else:
        noise = torch.randint(0, 256, (2, *config.shape()), dtype=torch.uint8, device=fabric.device)
    clips = normalize(noise, spec)
    operations = 2e9 * gmacs * len(clips)
    with torch.inference_mode():
        testing = operations / _seconds(lambda: model.eval()(clips), fabric)
    if isinstance(config, ProbeConfig):
        return testing, testing
    training = 3 * operations / _seconds(lambda: fabric.backward(model.train()(clips).sum()), fabric)
    return training, testing


def _seconds(work: Callable[[], Any], fabric: Fabric) -> float:
    """Seconds of the fastest of some runs: of a CPU its time shared out among the threads, of a GPU by the clock."""
    found: list[float] = []
    work()  # the first one also prepares
    while len(found) < 2 or (sum(found) < 2 and len(found) < 20):
        start, cpu = time.perf_counter(), cpu_seconds()
        work()
        if fabric.device.type == "cuda":
            torch.cuda.synchronize()
        clock, shared = time.perf_counter() - start, (cpu_seconds() - cpu) / torch.get_num_threads()
        found.append(clock if fabric.device.type == "cuda" else shared)
    return min(found)


def cpu_seconds(children: bool = False) -> float:
    """Seconds of CPU time of this process, with its children's that have ended if asked."""
    kinds = (resource.RUSAGE_SELF, *([resource.RUSAGE_CHILDREN] if children else []))
    return sum(used.ru_utime + used.ru_stime for used in map(resource.getrusage, kinds))
