"""Batch norm over the batches of all processes, on a CPU too, where torch.nn.SyncBatchNorm does not run."""

from typing import Any

import torch
from timm.layers import BatchNormAct2d, convert_sync_batchnorm
from torch import Tensor, distributed, nn
from torch.nn import functional as F


class _Sum(torch.autograd.Function):
    """Sum over all processes, whose gradient is summed over them too."""

    @staticmethod
    def forward(_: Any, x: Tensor) -> Tensor:
        total = x.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(_: Any, gradient: Tensor) -> Tensor:
        total = gradient.contiguous().clone()
        distributed.all_reduce(total)
        return total


class SyncNorm(nn.Module):
    """Batch norm of any number of dimensions that normalises with the statistics of the global batch.

    It takes over the parameters and statistics of `norm`, under the same names. Processes may hold batches of
    different sizes, but all of them must call it together in training. In eval mode it is `norm`.

    Shape: (N, C, ...) -> (N, C, ...).
    """

    def __init__(self, norm: nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d) -> None:
        super().__init__()
        self.eps, self.momentum = norm.eps, norm.momentum
        self.weight, self.bias = norm.weight, norm.bias
        self.running_mean: Tensor
        self.running_var: Tensor
        self.num_batches_tracked: Tensor
        for name, buffer in norm.named_buffers():
            self.register_buffer(name, buffer)
        # timm's holds its activation inside
        self.after = nn.Sequential(norm.drop, norm.act) if isinstance(norm, BatchNormAct2d) else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (N, C, ...) by the statistics of the global batch, or the running ones in eval mode."""
        if not self.training:
            out: Tensor = self.after(
                F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
            )
            return out
        over = [dim for dim in range(x.ndim) if dim != 1]
        shape = [1, -1] + [1] * (x.ndim - 2)
        values = x.to(self.running_mean.dtype)  # under autocast too: sums of half-precision numbers are too coarse
        count = _sum(values.new_tensor([float(x.numel() // x.shape[1])]))
        mean = _sum(values.sum(over)) / count
        centred = values - mean.view(shape)
        variance = _sum(centred.square().sum(over)) / count
        self._track(mean.detach(), variance.detach() * count / (count - 1))
        normed = centred * torch.rsqrt(variance + self.eps).view(shape)
        out = self.after((normed * self.weight.view(shape) + self.bias.view(shape)).to(x.dtype))
        return out

    def _track(self, mean: Tensor, variance: Tensor) -> None:
        self.num_batches_tracked += 1
        share = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(variance, share)


def _sum(x: Tensor) -> Tensor:
    total: Tensor = _Sum.apply(x)
    return total


def synchronise(network: nn.Module) -> nn.Module:
    """Replace every batch norm of `network` by one over all processes; on GPUs it is PyTorch's own.

    Parameters and their names stay. Call it after the process group was made.
    """
    if distributed.get_backend() != "gloo":
        converted: nn.Module = convert_sync_batchnorm(network)
        return converted
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d):
                setattr(module, name, SyncNorm(child))
    return network
