"""Files that the trainers' own save functions write; `make nightly` installs those that nothing else needs."""

import argparse
import functools
from collections import OrderedDict
from pathlib import Path
from unittest.mock import MagicMock

import lightning_fabric
import pytest
import timm
import torch
from timm.utils import CheckpointSaver, ModelEmaV2
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.fsdp import FullStateDictConfig, FullyShardedDataParallel, StateDictType, fully_shard
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel

from pipeline.core.errors import UserError
from pipeline.pretrained import weight_file


def network() -> nn.Module:
    return nn.Sequential(OrderedDict(conv1=nn.Conv2d(3, 2, 1), bn1=nn.BatchNorm2d(2)))


def stepped(model: nn.Module) -> torch.optim.Optimizer:
    """An optimizer that has a state."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    model(torch.ones(1, 3, 2, 2)).sum().backward()
    optimizer.step()
    return optimizer


def copy(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in state.items()}


def equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def save(tmp_path: Path, content: object) -> Path:
    torch.save(content, tmp_path / "file.pth")
    return tmp_path / "file.pth"


@pytest.fixture
def group(tmp_path):
    """A process group of this process alone."""
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/rendezvous", rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


def test_timms_trainer(tmp_path):
    model = timm.create_model("test_resnet", num_classes=3)
    average = ModelEmaV2(model)
    with torch.no_grad():
        average.module.fc.bias += 1
    args = argparse.Namespace(model="test_resnet", lr=0.1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    saver = CheckpointSaver(model, optimizer, args=args, model_ema=average, checkpoint_dir=str(tmp_path))
    saver.save_checkpoint(epoch=0, metric=1.0)
    path = tmp_path / "last.pth.tar"
    with pytest.raises(UserError, match="several sets of weights: state_dict .*, state_dict_ema "):
        weight_file.read(path)
    assert equal(weight_file.read(path, "state_dict").tensors, model.state_dict())
    assert equal(weight_file.read(path, "state_dict_ema").tensors, average.module.state_dict())


def test_torchvisions_reference(tmp_path):
    """It has no function of its own: references/classification/train.py saves this dict with torch.save."""
    model = network()
    optimizer, average = stepped(model), AveragedModel(model)
    average.update_parameters(model)
    path = save(
        tmp_path,
        {
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "lr_scheduler": torch.optim.lr_scheduler.StepLR(optimizer, 1).state_dict(),
            "epoch": 3,
            "args": argparse.Namespace(data_path=Path("x")),
            "model_ema": average.state_dict(),
        },
    )
    read = weight_file.read(path, "model_ema")
    assert (read.wrappers, equal(read.tensors, model.state_dict())) == (("module.",), True)
    assert equal(weight_file.read(path, "model").tensors, model.state_dict())


def test_lightnings_fabric(tmp_path):
    fabric = lightning_fabric.Fabric(accelerator="cpu", devices=1)
    model = network()
    fabric.save(tmp_path / "file.ckpt", {"model": model, "step": 3, "hparams": argparse.Namespace(lr=1)})
    assert equal(weight_file.read(tmp_path / "file.ckpt").tensors, model.state_dict())


@pytest.mark.nightly
def test_lightnings_trainer(tmp_path):
    import pytorch_lightning

    class Module(pytorch_lightning.LightningModule):
        def __init__(self, options: argparse.Namespace) -> None:
            super().__init__()
            self.save_hyperparameters()
            self.model = network()

        def training_step(self, batch: list[Tensor], _: int) -> Tensor:
            return self.model(batch[0]).square().mean()

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.9)

    module = Module(argparse.Namespace(lr=0.1, root=Path("x")))
    data = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.ones(2, 3, 2, 2)))
    off = dict.fromkeys(("logger", "enable_progress_bar", "enable_model_summary", "enable_checkpointing"), False)
    trainer = pytorch_lightning.Trainer(accelerator="cpu", max_steps=1, default_root_dir=tmp_path, **off)
    trainer.fit(module, data)
    trainer.save_checkpoint(tmp_path / "file.ckpt")
    read = weight_file.read(tmp_path / "file.ckpt")
    assert (read.container, read.wrappers) == ("state_dict", ("model.",))
    assert equal(read.tensors, module.model.state_dict())


@pytest.mark.nightly
def test_mmengines_runner(tmp_path, monkeypatch):
    """Its EMAHook puts the average under `state_dict`, and the weights themselves under `ema_state_dict`."""
    from mmengine.hooks import EMAHook
    from mmengine.model import BaseModel
    from mmengine.runner import Runner

    monkeypatch.setattr(Runner, "build_visualizer", MagicMock())  # it asks for Matplotlib, and draws nothing here

    class Model(BaseModel):
        def __init__(self) -> None:
            super().__init__()
            self.conv1, self.bn1 = nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2)

        def forward(self, images: list[Tensor], mode: str = "loss") -> dict[str, Tensor]:
            return {"loss": self.bn1(self.conv1(torch.stack(images))).mean() + self.conv1.weight.square().sum()}

    hook = EMAHook(momentum=0.5)
    model = Model()
    runner = Runner(
        model,
        str(tmp_path),
        train_dataloader={
            "dataset": [{"images": torch.rand(3, 2, 2)} for _ in range(4)],
            "sampler": {"type": "DefaultSampler", "shuffle": False},
            "batch_size": 2,
        },
        train_cfg={"by_epoch": True, "max_epochs": 1},
        optim_wrapper={"optimizer": {"type": "SGD", "lr": 0.1, "momentum": 0.9}},
        custom_hooks=[hook],
        experiment_name="writers",
    )
    runner.train()
    path = tmp_path / "epoch_1.pth"
    with pytest.raises(
        UserError, match=r"sets of weights: state_dict .*, ema_state_dict .*pretrained_set: state_dict,"
    ):
        weight_file.read(path)
    average = hook.ema_model.module.state_dict()
    assert not equal(average, model.state_dict())
    assert equal(weight_file.read(path, "state_dict").tensors, average)
    read = weight_file.read(path, "ema_state_dict")
    assert (read.wrappers, equal(read.tensors, model.state_dict())) == (("module.",), True)


@pytest.mark.slow
@pytest.mark.usefixtures("group")
def test_parallel_and_compiled(tmp_path):
    model = network()
    compiled = torch.compile(model, backend="eager")
    for content, wrappers in (
        (compiled, ("_orig_mod.",)),
        (DistributedDataParallel(model), ("module.",)),
        (DistributedDataParallel(compiled), ("module.", "_orig_mod.")),
        (torch.compile(DistributedDataParallel(model), backend="eager"), ("_orig_mod.", "module.")),
    ):
        read = weight_file.read(save(tmp_path, {"model": content.state_dict()}))
        assert (read.wrappers, equal(read.tensors, model.state_dict())) == (wrappers, True)


@pytest.mark.slow
@pytest.mark.usefixtures("group")
def test_the_full_state_of_fsdp(tmp_path):
    model = network()
    wanted = copy(model.state_dict())
    mesh = torch.distributed.init_device_mesh("cpu", (1,))
    fully_shard(model, mesh=mesh)
    whole = get_model_state_dict(model, options=StateDictOptions(full_state_dict=True, cpu_offload=True))
    assert equal(weight_file.read(save(tmp_path, {"model": whole})).tensors, wanted)
    model = network()
    wanted = copy(model.state_dict())
    sharded = FullyShardedDataParallel(model, device_id=torch.device("cpu"))
    config = FullStateDictConfig(offload_to_cpu=True, rank0_only=True)
    with FullyShardedDataParallel.state_dict_type(sharded, StateDictType.FULL_STATE_DICT, config):
        path = save(tmp_path, sharded.state_dict())
    assert equal(weight_file.read(path).tensors, wanted)


@pytest.mark.slow
@pytest.mark.usefixtures("group")
def test_the_shards_of_one_process_are_refused(tmp_path, monkeypatch):
    model = network()
    fully_shard(model, mesh=torch.distributed.init_device_mesh("cpu", (1,)))
    path = save(tmp_path, {"model": model.state_dict()})
    with pytest.raises(UserError, match=r"one process' shards.*full_state_dict=True"):
        weight_file.read(path)
    # What a process sees that has not imported what makes them.
    monkeypatch.setattr(torch, "load", functools.partial(refuse, "torch.distributed.tensor.DTensor"))
    with pytest.raises(UserError, match=r"one process' shards.*full_state_dict=True"):
        weight_file.read(path)


def refuse(name: str, *_: object, **__: object) -> None:
    raise RuntimeError(f"WeightsUnpickler error: Unsupported global: GLOBAL {name} was not an allowed global")
