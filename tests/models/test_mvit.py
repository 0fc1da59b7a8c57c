"""MViTv2 against torchvision's own."""

import functools

import pytest
import torch
from torch import nn
from torchvision.models import video
from torchvision.models.video.mvit import MSBlockConfig

from pipeline.models import mvit
from tests.support import checks, torchvision_peer


@pytest.mark.nightly
def test_it_is_torchvisions_to_the_last_bit(tmp_path):
    torchvision_peer.assert_same_logits(video.mvit_v2_s, mvit.build, (1, 3, 16, 224, 224), tmp_path, exactly=True)


def test_a_small_one_is_torchvisions_class_to_the_last_bit(tmp_path):
    def theirs() -> nn.Module:
        every = {"kernel_q": [3, 3, 3], "kernel_kv": [3, 3, 3]}
        first = MSBlockConfig(1, 16, 16, stride_q=[1, 1, 1], stride_kv=[1, 2, 2], **every)
        second = MSBlockConfig(2, 16, 32, stride_q=[1, 2, 2], stride_kv=[1, 1, 1], **every)
        third = MSBlockConfig(2, 32, 32, stride_q=[1, 1, 1], stride_kv=[1, 1, 1], **every)
        options = {"residual_pool": True, "residual_with_cls_embed": False}
        blocks = [first, second, third]
        return video.MViT((32, 32), 4, blocks, rel_pos_embed=True, proj_after_attn=True, num_classes=400, **options)

    build = functools.partial(mvit.build, **checks.TINY_MVIT)
    torchvision_peer.assert_same_logits(theirs, build, (2, 3, 4, 32, 32), tmp_path, exactly=True)


def test_it_has_the_parameters_of_torchvisions():
    torchvision_peer.assert_names_and_shapes(video.mvit_v2_s, mvit.build, 34_537_744)


@pytest.mark.parametrize(("frames", "size"), [(4, 64), (8, 32), (4, 36)])
def test_a_clip_of_another_size_is_refused_with_the_remedy(frames: int, size: int):
    model = mvit.build(3, **checks.TINY_MVIT)
    with pytest.raises(
        ValueError, match=rf"{frames} frames of {size} x {size} pixels.*for 4 of 32 x 32.*`size: {size}`"
    ):
        model(checks.clips(1, frames, size))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"size": 200}, "frames=16 must be even, and size=200 a multiple of 32"),
        ({"frames": 15}, "frames=15 must be even"),
        ({"depths": (1,)}, "two blocks in all"),
        ({"width": 0}, "width=0"),
    ],
)
def test_an_impossible_network_is_refused(options, said: str):
    with pytest.raises(ValueError, match=said):
        mvit.build(3, **options)


def test_what_the_class_token_never_sees_does_not_train():
    with torch.device("meta"):
        model = mvit.build(3)
    frozen = [name for name, parameter in model.named_parameters() if not parameter.requires_grad]
    assert frozen == [f"backbone.blocks.15.attn.{name}" for name in ("rel_pos_h", "rel_pos_w", "rel_pos_t")] + [
        "backbone.blocks.15.attn.pool_q.pool.weight"
    ]
