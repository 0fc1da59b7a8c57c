"""Tensors on their way to a device, and results on their way back, while the device goes on computing."""

import torch
from torch import Tensor


class Upload:
    """Copies tensors to a device, beside what it computes.

    In the order of a GPU's work a copy would wait for all that was asked for before. Here it has an order of its own,
    and only what is asked for afterwards waits for it: so a batch arrives while the one before it is computed with. The
    tensors must be pinned, or else the caller waits too. On a CPU they stay where they are.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.stream = torch.cuda.Stream(device) if device.type == "cuda" else None

    def __call__(self, tensor: Tensor) -> Tensor:
        """The tensor on the device, of the same shape, type and order of bytes."""
        if self.stream is None:
            return tensor.to(self.device)
        with torch.cuda.stream(self.stream):
            moved = tensor.to(self.device, non_blocking=True)
        current = torch.cuda.current_stream(self.device)
        current.wait_stream(self.stream)
        moved.record_stream(current)  # its memory is not given away before the computation is done with it
        return moved


class Download:
    """A tensor that a device has yet to compute: it sets out for the host at once and is waited for when read."""

    def __init__(self, values: Tensor) -> None:
        self.values = values.to("cpu", non_blocking=True)  # to pinned memory
        self.arrived = torch.cuda.Event() if values.is_cuda else None
        if self.arrived is not None:
            self.arrived.record(torch.cuda.current_stream(values.device))

    def read(self) -> Tensor:
        """The tensor on the CPU, once it is there."""
        if self.arrived is not None:
            self.arrived.synchronize()
        return self.values
