"""What every architecture must hold to: those below as small networks, any other one as conf/model has it."""

import pytest
import torch
from torch import Tensor, nn

from pipeline.core import registry
from pipeline.runtime import distributed
from pipeline.training.frozen_config import ENCODERS
from tests.support import checks
from tests.support.checks import (
    TINY_2D,
    TINY_3D,
    TINY_AST,
    TINY_DEEP,
    TINY_INVERTED,
    TINY_MVIT,
    TINY_SLOWFAST,
    TINY_SWIN,
    TINY_VIDEOMAE,
    TINY_VIDEOPRISM,
    TINY_VIDEOPRISM_PROBE,
    TINY_VIT,
    TINY_VJEPA2,
    TINY_VJEPA2_PROBE,
    Case,
)

FIXED = r"clip has 6 frames.*built for 4.*Draw clips of 4 frames"
KNOWN = {
    "tsn": Case("tsn", TINY_2D, 3),
    "tsm": Case("tsm", {**TINY_2D, "frames": 4}, 4, 6, FIXED),
    "tin": Case("tin", {**TINY_2D, "frames": 4}, 4, 6, FIXED),
    "trn": Case("trn", {**TINY_2D, "frames": 4}, 4, 6, FIXED),
    "probe": Case("probe", {**TINY_2D, "frames": 4}, 4, 6, FIXED),
    "encoder": Case("encoder", {**TINY_2D, "frames": 4, "size": 32}, 4, 6, FIXED),
    "slowfast": Case("slowfast", TINY_SLOWFAST, 8, 6, r"6 frames.*alpha=4.*clips of 4 or 8 frames"),
    "slow": Case("slow", TINY_3D, 4),
    "fast": Case("fast", TINY_3D, 8),
    "r3d": Case("r3d", TINY_3D, 8),
    "r2plus1d": Case("r2plus1d", TINY_3D, 8),
    "audio_cnn": checks.SoundCase("audio_cnn", TINY_2D | {"mask_bands": 0.0, "mask_time": 0.0}, 40),
    "ast": checks.SoundCase("ast", TINY_AST, 40, 50, r"50 columns.*built for 32 and 40.*`columns: 50`", mels=32),
    "mvit": Case(
        "mvit", TINY_MVIT, 4, 6, r"6 frames of 32 x 32 pixels.*built for 4 of 32 x 32.*Draw clips of 4 frames"
    ),
    "swin3d": Case("swin3d", TINY_SWIN, 4),
    "s3d": Case("s3d", {"width": 8, "norm_momentum": 0.3}, 16),
    "videomae": Case("videomae", TINY_VIDEOMAE, 4, 6, r"6 frames of 32 x 32.*built for 4 of 32 x 32"),
    "videoprism": Case("videoprism", TINY_VIDEOPRISM, 4, 6, r"6 frames.*built for 4 of 36 x 36", size=36),
    "vjepa2": Case("vjepa2", TINY_VJEPA2, 4, 6, r"6 frames of 32 x 32.*built for 4 of 32 x 32"),
    "videoprism_probe": Case("videoprism_probe", TINY_VIDEOPRISM_PROBE, 4, 6, r"6 frames.*built for 4 of 36", size=36),
    "vjepa2_probe": Case("vjepa2_probe", TINY_VJEPA2_PROBE, 4, 6, r"6 frames of 32 x 32.*built for 4 of 32 x 32"),
}
HEADS = ("videoprism", "vjepa2")
"""Networks of which a head alone learns, here from what a random encoder says."""
VARIANTS = {
    "encoder with a linear head": Case("encoder", {**TINY_2D, "frames": 4, "size": 32, "head": "linear"}, 4, 6, FIXED),
    "encoder of a transformer": Case("encoder", TINY_VIT, 4, 6, FIXED),
    "vjepa2_probe with a linear head": Case(
        "vjepa2_probe", TINY_VJEPA2_PROBE | {"head": "linear"}, 4, 6, r"6 frames of 32 x 32"
    ),
    "tsn non-local": Case("tsn", {**TINY_DEEP, "frames": 4}, 4, 6, FIXED),
    "tsm of blocks": Case("tsm", {**TINY_2D, "frames": 4, "place": "block", "every": 2}, 4, 6, FIXED),
    "tsm non-local": Case("tsm", {**TINY_DEEP, "frames": 4}, 4, 6, FIXED),
    "tsm of inverted blocks": Case("tsm", {**TINY_INVERTED, "frames": 4}, 4, 6, FIXED),
    "tsn of differences": Case("tsn", {**TINY_2D, "input": "rgb_difference"}, 12, 8, r"8 frames.*`consecutive: 6`"),
    "tsm of differences": Case("tsm", {**TINY_2D, "frames": 2, "input": "rgb_difference"}, 12, 18, r"built for 2"),
    "tin of differences": Case("tin", {**TINY_2D, "frames": 4, "input": "rgb_difference"}, 24, 18, r"built for 4"),
    "tin of inverted blocks": Case("tin", {**TINY_INVERTED, "frames": 4, "shift_div": 2}, 4, 6, FIXED),
    "tin non-local": Case("tin", {**TINY_DEEP, "frames": 4}, 4, 6, FIXED),
    "trn of one scale": Case("trn", {**TINY_2D, "frames": 4, "multiscale": False}, 4, 6, FIXED),
    "slowfast of bottlenecks": Case(
        "slowfast", TINY_SLOWFAST | {"block": "bottleneck", "fusion_norm": True, "head_bias": True}, 8
    ),
    "slow non-local": Case("slow", {"width": 8, "blocks": (1, 4, 6, 1), "block": "basic", "non_local": True}, 4),
    "r3d of bottlenecks": Case("r3d", TINY_3D | {"depth": 50}, 8),
    "r2plus1d of bottlenecks": Case("r2plus1d", TINY_3D | {"depth": 50, "max_pooling": True}, 8),
}
CASES = KNOWN | {name: checks.smallest(name) for name in registry.names("models") if name not in KNOWN}
ALL = CASES | VARIANTS


def parametrized(cases: dict[str, Case]) -> pytest.MarkDecorator:
    """Those whose network needs an extra are for `make nightly`, which installs it."""
    extra = {name: hasattr(registry.find("models", case.model), "EXTRA") for name, case in cases.items()}
    marked = [pytest.param(case, id=name, marks=[pytest.mark.nightly] * extra[name]) for name, case in cases.items()]
    return pytest.mark.parametrize("case", marked)


each_model, each_variant = parametrized(CASES), parametrized(ALL)


def logits(model: nn.Module, clips: Tensor) -> Tensor:
    with torch.inference_mode():
        return model(clips)


def test_every_model_has_a_case():
    assert sorted(CASES) == registry.names("models")
    assert all(case.model == name for name, case in CASES.items())


@pytest.mark.slow
def test_a_case_that_nobody_wrote_is_the_smallest_config_of_the_model():
    case = checks.smallest("tsm")
    assert (case.model, case.frames, case.size) == ("tsm", 8, 40)
    assert case.options["backbone_options"]["stem_width"] == 8
    assert logits(case.build().eval(), case.clips(1)).shape == (1, checks.CLASSES)


@pytest.mark.slow
def test_a_model_without_a_config_is_asked_for_one():
    with pytest.raises(LookupError, match="no config of conf/model has arch: tsmm; add one"):
        checks.smallest("tsmm")


@each_variant
def test_every_parameter_learns(case: Case):
    checks.assert_every_parameter_learns(case.build(), case.clips(2))


@pytest.mark.slow
@each_variant
def test_it_learns_eight_clips(case: Case):
    if case.model in ENCODERS:  # its linear head reads small numbers, and its attentive one large ones
        checks.assert_learns(case.build(), case.clips(8), steps=500, rate=2e-2 if "head" in case.options else 5e-4)
    elif case.model == "probe":  # small heads on small numbers, without dropout
        checks.assert_learns(case.build(), case.clips(8), steps=500)
    else:
        steps = 500 if case.model in HEADS else 50
        checks.assert_learns(case.build(dropout=0.0), case.clips(8), steps=steps)


@each_variant
def test_clips_of_a_batch_do_not_mix(case: Case):
    checks.assert_clips_do_not_mix(case.build(), case.clips(3))


@each_variant
def test_weights_survive_a_file(case: Case):
    checks.assert_weights_survive_a_file(case.build(), case.build(), case.clips(1))


@each_variant
def test_a_clip_of_an_impossible_length_is_refused_with_the_remedy(case: Case):
    model = case.build().eval()
    if case.refused is None:
        for frames in (case.frames, 2 * case.frames, 3 * case.frames):
            assert logits(model, case.of(frames)).shape == (1, checks.CLASSES)
    else:
        with pytest.raises(ValueError, match=case.remedy):
            model(case.of(case.refused))


@each_variant
def test_runs_in_bfloat16_by_autocast(case: Case):
    model = checks.settled(case.build())
    clips = case.clips(2)
    expected = logits(model, clips)

    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = model(clips)
    with torch.backends.mkldnn.flags(enabled=False):  # its gradients are wrong, see distributed.sound_gradients
        out.float().square().sum().backward()

    assert all(p.grad.isfinite().all() for p in model.parameters() if p.requires_grad)
    torch.testing.assert_close(out.float(), expected, rtol=0.1, atol=0.05 * expected.abs().max().item())


@each_variant
def test_the_memory_format_of_clips_does_not_matter(case: Case):
    model = checks.settled(case.build())
    clips = case.clips(2)

    torch.testing.assert_close(
        logits(model, clips.to(memory_format=distributed.FORMATS[clips.ndim])),
        logits(model, clips),
        rtol=1e-4,
        atol=1e-4,
    )


@each_model
def test_the_memory_format_of_weights_does_not_matter(case: Case):
    model = checks.settled(case.build())
    expected = logits(model, case.clips(2))
    flat = any(isinstance(module, nn.Conv2d) for module in model.modules())

    model.to(memory_format=torch.channels_last if flat else torch.channels_last_3d)

    torch.testing.assert_close(logits(model, case.clips(2)), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
@each_model
def test_exports_for_any_batch(case: Case):
    model = checks.settled(case.build())

    with torch.no_grad():
        exported = torch.export.export(model, (case.clips(2),), dynamic_shapes=({0: torch.export.Dim("batch")},))

    for batch in (1, 3):
        clips = case.clips(batch)
        torch.testing.assert_close(logits(exported.module(), clips), logits(model, clips), rtol=1e-4, atol=1e-4)


@pytest.mark.slow
@each_model
def test_compiles_whole(case: Case):
    torch.compiler.reset()
    model = checks.settled(case.build())
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    clips = case.clips(2)

    with torch.no_grad():
        torch.testing.assert_close(compiled(clips), model(clips), rtol=1e-4, atol=1e-4)
