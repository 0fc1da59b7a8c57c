"""SyncNorm in two processes against one batch norm over the whole batch."""

import socket

import pytest
import torch
from timm.layers import BatchNormAct2d
from torch import Tensor, distributed, nn
from torch import multiprocessing as mp

from pipeline.layers.sync_norm import SyncNorm, synchronise


def batch() -> Tensor:
    return torch.randn(5, 3, 2, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2 + 7


def network() -> nn.Sequential:
    torch.manual_seed(1)
    net = nn.Sequential(nn.Conv3d(3, 4, 1), nn.BatchNorm3d(4), nn.ReLU())
    nn.init.normal_(net[1].weight)
    return net.double()


def shares(rank: int) -> slice:
    return slice(0, 2) if rank == 0 else slice(2, 5)  # of different sizes


def work(rank: int, port: int, results) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    net = synchronise(network())
    out = net.train()(batch()[shares(rank)])
    out.square().sum().backward()
    gradient = net[0].weight.grad
    distributed.all_reduce(gradient)
    results.put((rank, out.detach().numpy(), gradient.numpy(), {n: t.numpy() for n, t in net.state_dict().items()}))
    distributed.destroy_process_group()


@pytest.fixture(scope="module")
def together():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = mp.get_context("spawn")
    results = context.Queue()
    processes = [context.Process(target=work, args=(rank, port, results)) for rank in range(2)]
    for process in processes:
        process.start()
    found = sorted((results.get(timeout=120) for _ in processes), key=lambda result: result[0])
    for process in processes:
        process.join()
    return found


@pytest.mark.slow
def test_two_processes_see_what_one_batch_norm_sees(together):
    whole = network().train()
    out = whole(batch())
    out.square().sum().backward()

    for rank, mine, gradient, state in together:
        torch.testing.assert_close(torch.from_numpy(mine), out[shares(rank)].detach(), rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(torch.from_numpy(gradient), whole[0].weight.grad, rtol=1e-5, atol=1e-5)
        assert list(state) == list(whole.state_dict())
        for name, value in whole.state_dict().items():
            torch.testing.assert_close(torch.from_numpy(state[name]), value, rtol=1e-6, atol=1e-6, msg=name)


@pytest.mark.parametrize("norm", [nn.BatchNorm2d(3), BatchNormAct2d(3)])
def test_in_eval_mode_it_is_the_norm_that_it_replaces(norm):
    nn.init.normal_(norm.weight)
    norm.running_mean.uniform_(-1, 1)
    norm.running_var.uniform_(0.5, 2)
    x = torch.randn(2, 3, 4, 4)

    torch.testing.assert_close(SyncNorm(norm).eval()(x), norm.eval()(x))
