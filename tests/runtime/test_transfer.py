"""Copies to a device and numbers from it, on a CPU, where nothing is copied; tests/test_gpu.py has them on a GPU."""

import torch

from pipeline.runtime.transfer import Download, Upload


def test_on_a_cpu_a_tensor_stays_where_it_is():
    tensor = torch.arange(6).view(2, 3).t()

    assert Upload(torch.device("cpu"))(tensor) is tensor


def test_a_tensor_is_read_as_it_set_out():
    tensor = torch.tensor([1.5, 2.0], dtype=torch.float64)

    assert Download(tensor).read() is tensor
