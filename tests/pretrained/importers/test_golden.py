"""Every source's checkpoints, in its own container, give its own logits here."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from sklearn.datasets import load_sample_image
from torch import Tensor, nn

from pipeline.layers.normalize import InputSpec, normalize
from pipeline.layers.relation import MultiScaleRelation, Relation
from pipeline.models import r2plus1d, r3d, slowfast, tin, tsm, tsn
from pipeline.pretrained.load import load_pretrained
from tests.support import peers
from tests.support.golden import golden_io, keys

CLASSES = 313
IMAGENET = InputSpec((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
FACEBOOK = InputSpec((0.45, 0.45, 0.45), (0.225, 0.225, 0.225))
LITE = InputSpec((127 / 255,) * 3, (128 / 255,) * 3)
PYSLOWFAST = {"fusion_kernel": 7, "fusion_norm": True, "slow_frames": "linspace", "head_bias": True}

Build = Callable[..., nn.Module]
Case = tuple[str, str, Callable[..., Any], str, Build, dict[str, Any]]
CASES: list[Case] = [  # source, golden file, container, file name, architecture, its options
    ("x_temporal", "tsn_r50_5f", peers.x_temporal, "ckpt.pth.tar", tsn.build, {}),
    ("x_temporal", "tsm_r50_8f", peers.x_temporal_parallel, "ckpt.pth", tsm.build, {}),
    ("x_temporal", "tsm_nl_r50_8f", peers.x_temporal, "ckpt.pth", tsm.build, {"non_local": True}),
    ("x_temporal", "tin_r50_8f", peers.x_temporal_parallel, "ckpt.pth", tin.build, {}),
    ("x_temporal", "xt_sfresnet50_8x8", peers.x_temporal, "ckpt.pth", slowfast.build, {}),
    ("x_temporal", "xt_resnet3D18", peers.x_temporal_parallel, "ckpt.pth", r3d.build, {}),
    ("x_temporal", "xt_stresnet18_maxpool", peers.x_temporal, "ckpt.pth", r2plus1d.build, {"max_pooling": True}),
    ("tsm", "tsmrepo_tsm_r50_8f", peers.tsm_repository, "ckpt.best.pth.tar", tsm.build, {}),
    ("pyslowfast", "psf_slowfast_8x8_r50", peers.pyslowfast, "checkpoint.pyth", slowfast.build, PYSLOWFAST),
    ("caffe2", "psf_slowfast_8x8_r50", peers.caffe2, "SLOWFAST_8x8_R50.pkl", slowfast.build, PYSLOWFAST),
    ("pytorchvideo", "ptv_slowfast_r50", peers.pytorchvideo, "SLOWFAST_8x8_R50.pyth", slowfast.build, PYSLOWFAST),
    ("mmaction2", "mma_tin_r50_8f", peers.mmaction2, "tin.pth", tin.build, {}),
    (
        *("mmaction2", "mma_slowfast_r50_8x8", peers.mmaction2, "slowfast.pth"),
        *(slowfast.build, {"fusion_kernel": 7, "head_bias": True}),
    ),
    ("torchvision", "tv_resnet50", peers.bare, "resnet50.pth", tsn.build, {}),
    (
        *("efficientnet_lite", "efficientnet_lite0", peers.bare, "efficientnet-lite0.pth"),
        *(tsn.build, {"backbone": "tf_efficientnet_lite0"}),
    ),
    ("cadene", "cadene_senet154", peers.bare, "senet154.pth", tsn.build, {"backbone": "legacy_senet154"}),
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "golden", "container", "file", "build", "options"), CASES, ids=[f"{case[0]}-{case[1]}" for case in CASES]
)
def test_logits_are_those_of_the_source(source, golden, container, file, build, options, tmp_path: Path):
    path = peers.write(tmp_path / file, container(keys.peer_weights(golden)))
    with torch.device("meta"):
        model = build(CLASSES, **options)
    model.to_empty(device="cpu")  # what the file does not set would show

    report = load_pretrained(model, path)

    assert report.source == source
    assert set(report.kept) <= {"the file does not have it, as in old programs"}
    facebook = dict.fromkeys(("pyslowfast", "caffe2", "pytorchvideo"), FACEBOOK)
    assert report.input == (facebook | {"efficientnet_lite": LITE}).get(source, IMAGENET)
    assert_logits(model, golden)


def assert_logits(model: nn.Module, golden: str) -> None:
    content = keys.read(golden)
    clip = golden_io.make_input(content["meta"]["input"][0]["shape"])
    if clip.ndim == 4:  # frames side by side in the channels: (N, 3*T, H, W)
        clip = clip.unflatten(1, (-1, 3)).transpose(1, 2)
    with torch.inference_mode():
        torch.testing.assert_close(model.eval()(clip), content["logits"], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("size", "side"), [(0, 224), (1, 240), (2, 260)])
def test_the_packages_weights_see_in_a_picture_what_their_own_class_sees(size: int, side: int):
    model = tsn.build(1000, backbone=f"tf_efficientnet_lite{size}").eval()
    pixels = load_sample_image("china.jpg")[100 : 100 + side, 150 : 150 + side].copy()

    report = load_pretrained(model, f"efficientnet_lite:tf_efficientnet_lite{size}")
    with torch.inference_mode():
        logits = model(normalize(torch.from_numpy(pixels).permute(2, 0, 1)[None, :, None], report.input))

    assert not report.kept
    torch.testing.assert_close(logits[0], keys.read("efficientnet_lite_china")[f"lite{size}"], rtol=1e-4, atol=1e-4)
    assert logits.argmax() == 698  # palace


class Head(nn.Module):
    """The relations of TRN without its backbone."""

    def __init__(self, relation: nn.Module) -> None:
        super().__init__()
        self.relation = relation

    def forward(self, features: Tensor) -> Tensor:
        return self.relation(features)


def of_several_scales() -> nn.Module:
    """With the tuples that the authors' code drew."""
    drawn = keys.read("trn_multiscale_8f")["meta"]["relations"]
    tuples = [[range(8)], *(scale["picked"] for scale in drawn)]
    return MultiScaleRelation(8, 256, 256, CLASSES, tuples=tuples)


@pytest.mark.parametrize(
    ("golden", "prefix", "make"),
    [
        ("trn_single_8f", "", lambda: Relation(8, 256, 512, CLASSES)),
        ("trn_multiscale_8f", "", of_several_scales),
        ("trn_multiscale_8f", "module.consensus.", of_several_scales),
    ],
)
def test_relations_are_those_of_trn(golden: str, prefix: str, make: Callable[[], nn.Module], tmp_path: Path):
    head = Head(make())
    state = {prefix + name: tensor for name, tensor in keys.peer_weights(golden).items()}

    # `consensus.` alone is what is left of a checkpoint whose backbone was dropped: only `source` can tell
    source = "trn" if prefix else "auto"
    report = load_pretrained(head, peers.write(tmp_path / "trn.pth.tar", {"state_dict": state}), source)

    assert (report.source, report.entries) == ("trn", len(state))
    content = keys.read(golden)
    features = golden_io.make_input(content["meta"]["input"][0]["shape"])
    with torch.inference_mode():
        torch.testing.assert_close(head.eval()(features), content["logits"], rtol=1e-4, atol=1e-4)
