"""The processes that share a training: launched here or by torchrun or SLURM, one a device.

Every process runs the same stage. What they share out is positions (of videos, of a batch), and what they bring
together keeps the order that a single process would have had.
"""

import inspect
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments import SLURMEnvironment, TorchElasticEnvironment
from lightning_fabric.strategies import DDPStrategy
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from pipeline.core.errors import UserError
from pipeline.core.machine import Machine
from pipeline.layers.sync_norm import synchronise

PRECISION: dict[str, Any] = {"32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}

FORMATS = {4: torch.channels_last, 5: torch.channels_last_3d}
"""Number of dimensions -> the memory format that has the channels innermost."""
OF_LAUNCHERS = (
    *("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "GROUP_RANK", "TORCHELASTIC_RUN_ID"),
    *("SLURM_NTASKS", "SLURM_NTASKS_PER_NODE", "SLURM_NNODES", "SLURM_PROCID", "SLURM_LOCALID"),
)
"""Variables by which torchrun and SLURM tell a process of the others."""

NO_BROADCAST: dict[str, Any] = {"forward_sync_buffers": False}  # batch norms are synchronised, see `synchronised`
if "forward_sync_buffers" not in inspect.signature(DistributedDataParallel).parameters:
    NO_BROADCAST = {"broadcast_buffers": False}  # its name before PyTorch 2.15


def launch(machine: Machine) -> Fabric:
    """The devices of a machine, ready: in a process of each of them, this returns.

    One node's processes are started here (`machine.devices`); torchrun and SLURM (`srun`) have started them already.
    """
    if machine.precision == "fp16" and (machine.accelerator == "cpu" or not torch.cuda.is_available()):
        raise UserError(
            "machine.precision: fp16 needs a GPU. Take 32 or bf16 in conf/config.yaml (then `make params`)."
        )
    torch.set_num_threads(machine.threads)
    torch.backends.cudnn.allow_tf32 = machine.tf32
    torch.set_float32_matmul_precision("high" if machine.tf32 else "highest")
    devices, nodes = layout(machine)
    several = devices != 1 or nodes != 1
    fabric = Fabric(
        accelerator=machine.accelerator,
        devices=devices,
        num_nodes=nodes,
        precision=PRECISION[machine.precision],
        strategy=DDPStrategy(gradient_as_bucket_view=True, **NO_BROADCAST) if several else "auto",
    )
    fabric.launch()
    return fabric


def launch_one(machine: Machine) -> Fabric:
    """One device for this process, ready; what torchrun or SLURM says of others in the environment is taken away."""
    for name in OF_LAUNCHERS:
        os.environ.pop(name, None)
    return launch(replace(machine, devices=1))


@contextmanager
def sound_gradients(fabric: Fabric, machine: Machine) -> Iterator[None]:
    """Within the block, a backward pass in bf16 on a CPU takes PyTorch's own kernels, which are slower.

    oneDNN's bfloat16 convolutions over three dimensions read memory that nobody has written when they make the gradient
    of their weights: seen with PyTorch 2.15.0 on an AMD EPYC with AVX512-BF16. Its forward passes are right.
    """
    before = torch.backends.mkldnn.enabled
    wrong = machine.precision == "bf16" and fabric.device.type == "cpu"
    torch.backends.mkldnn.enabled = before and not wrong  # type: ignore[assignment]  # a property of the module
    try:
        yield
    finally:
        torch.backends.mkldnn.enabled = before


def layout(machine: Machine) -> tuple[int, int]:
    """(devices of a node, nodes): what the launcher says where there is one, else what the settings say."""
    if TorchElasticEnvironment.detect():
        local = int(os.environ["LOCAL_WORLD_SIZE"])
        return local, int(os.environ["WORLD_SIZE"]) // local
    if SLURMEnvironment.detect():
        nodes = int(os.environ.get("SLURM_NNODES", "1"))
        return int(os.environ["SLURM_NTASKS"]) // nodes, nodes
    if machine.devices:
        return machine.devices, 1
    gpus = torch.cuda.device_count() if machine.accelerator != "cpu" else 0
    return max(gpus, 1), 1


def share(items: Sequence[Any], fabric: Fabric) -> Sequence[Any]:
    """The part of `items` for this process: every `world_size`-th, so that nothing is missing or twice."""
    return items[fabric.global_rank :: fabric.world_size]


def gather(rows: Tensor, total: int, fabric: Fabric) -> Tensor:
    """The `share`s of all processes (n, ...) -> all `total` rows in the order of the items, in every process."""
    if fabric.world_size == 1:
        return rows
    most = -(-total // fabric.world_size)
    padded = torch.cat([rows, rows.new_zeros(most - len(rows), *rows.shape[1:])])
    parts = fabric.all_gather(padded.to(fabric.device))
    assert isinstance(parts, Tensor)  # (processes, most, ...), as a tensor went in
    return parts.cpu().transpose(0, 1).flatten(0, 1)[:total]


def add(values: Sequence[float], fabric: Fabric) -> list[float]:
    """The sum of each value over all processes."""
    if fabric.world_size == 1:
        return list(values)
    total = torch.tensor(values, dtype=torch.float64, device=fabric.device)
    return fabric.all_reduce(total, reduce_op="sum").tolist()  # type: ignore[union-attr]  # a tensor in, a tensor out


def summed(values: Tensor, fabric: Fabric) -> Tensor:
    """The sum of a tensor over all processes, in its place; a GPU is not waited for."""
    if fabric.world_size > 1:
        torch.distributed.all_reduce(values)
    return values


def synchronised(network: nn.Module, fabric: Fabric) -> nn.Module:
    """The network with batch norms over all devices; the network itself where there is one device."""
    return synchronise(network) if fabric.world_size > 1 else network


def suits_channels_last(network: nn.Module, fabric: Fabric) -> bool:
    """Whether a network is quicker with the channels innermost: on a CPU, where it has depthwise convolutions.

    Measured with PyTorch 2.15 on an AMD EPYC, 96 x 96 pixels: training of EfficientNet-Lite0 takes 0.59 of the time,
    of MobileNetV3 0.60, of MobileNetV2 0.61; of ResNet-18, which has none, 0.89.
    """
    depthwise = any(
        isinstance(module, nn.Conv2d) and 1 < module.groups == module.in_channels for module in network.modules()
    )
    return fabric.device.type == "cpu" and depthwise


def to_channels_last(network: nn.Module) -> None:
    """Store the weights of convolutions with the channels innermost; their values and names stay."""
    for parameter in network.parameters():
        if parameter.ndim in FORMATS:
            parameter.data = parameter.data.contiguous(memory_format=FORMATS[parameter.ndim])


def local_processes(fabric: Fabric) -> int:
    """How many processes of the training run on this node."""
    return max(1, fabric.world_size // getattr(fabric.strategy, "num_nodes", 1))


def close(fabric: Fabric) -> None:
    """Wait for all processes and leave the group."""
    if fabric.world_size > 1:
        fabric.barrier()
        torch.distributed.destroy_process_group()
