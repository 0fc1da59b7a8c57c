"""Fast: the report's reading of the fast path, with all its channels."""

import torch

from pipeline.models import fast


def test_it_looks_along_time_in_every_block_at_full_width():
    with torch.device("meta"):
        backbone = fast.build(3).backbone

    assert backbone.conv1.kernel_size == (5, 7, 7)
    assert {block.conv1.kernel_size for stage in backbone.stages for block in stage} == {(3, 1, 1)}
    assert {block.conv2.kernel_size for stage in backbone.stages for block in stage} == {(1, 3, 3)}
    assert backbone.channels == [64, 256, 512, 1024, 2048]


def test_time_is_never_strided():
    with torch.device("meta"):
        assert fast.build(3).backbone(torch.empty(1, 3, 16, 64, 64)).shape == (1, 2048, 16, 2, 2)
