"""What every loss of the open set must hold to, and what every ranking loss must."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from pipeline.class_stats import ClassStatistics
from pipeline.core import registry

STATISTICS = ClassStatistics(tuple("abcde"), np.array([8, 2, 4, 4, 2]), videos=10)
RANKING = ["lsep", "warp", "wlsep"]
NAMES = [name for name in registry.names("losses") if name != "auto"]  # which is no loss itself
VARIANTS = [
    *[(name, {}) for name in NAMES],
    ("cross_entropy", {"smoothing": 0.1, "class_weights": "sqrt"}),
    ("bce", {"smoothing": 0.1, "class_weights": "sqrt"}),
    ("wlsep", {"class_weights": "min_count"}),
    *[("asymmetric", {"clip": clip, "gamma_neg": gamma}) for clip in (0.0, 0.05) for gamma in (0.0, 0.5, 4.0)],
    ("asymmetric", {"gamma_pos": 0.5}),
    ("asymmetric", {"gamma_pos": 1.0, "detach_focus": True}),
]
WITH_PARTS = [(name, options) for name, options in VARIANTS if name in ("asymmetric", "bce")]
every_loss = pytest.mark.parametrize("name", NAMES)
every_variant = pytest.mark.parametrize(("name", "options"), VARIANTS, ids=str)
every_ranking_loss = pytest.mark.parametrize("name", RANKING)


def build(name: str, **options: object) -> nn.Module:
    return registry.find("losses", name).build(STATISTICS, **options)


def noise(videos: int = 4, classes: int = 5, seed: int = 0) -> Tensor:
    return 2 * torch.randn(videos, classes, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def labels() -> Tensor:
    """Of two classes, of one, of none, of all."""
    return torch.tensor([[1, 0, 1, 0, 0], [0, 0, 0, 1, 0], [0] * 5, [1] * 5]).double()


def gradient(loss: nn.Module, logits: Tensor, targets: Tensor) -> Tensor:
    logits = logits.detach().requires_grad_()
    loss(logits, targets).backward()
    return logits.grad


@pytest.mark.parametrize(("name", "options"), [v for v in VARIANTS if "detach_focus" not in v[1]], ids=str)
def test_the_gradient_is_the_slope(name, options):
    loss, targets = build(name, **options).double(), labels()

    assert torch.autograd.gradcheck(lambda logits: loss(logits, targets), noise().requires_grad_())


@every_variant
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize(
    "rows", [slice(0, 2), slice(2, 3), slice(3, 4), slice(0, 4)], ids=["some", "none", "all", "mix"]
)
def test_value_and_gradient_are_finite_everywhere(name, options, dtype, rows):
    loss, targets = build(name, **options), labels()[rows].float()
    right, random = 2 * targets - 1, noise()[rows].sign().float()

    for signs, size in [(right, 1e4), (-right, 1e4), (random, 1e4), (random, 100), (right, 20), (right, 0)]:
        logits = (size * signs).to(dtype).requires_grad_()
        value = loss(logits, targets)
        value.backward()
        assert value.dtype == torch.float32
        assert value.isfinite()
        assert value >= 0
        assert logits.grad.isfinite().all()


@every_variant
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_logits_give_the_float32_value(name, options, dtype):
    loss, targets, logits = build(name, **options), labels().float(), noise().to(dtype)

    expected = loss(logits.float(), targets)

    assert torch.equal(loss(logits, targets), expected)
    with torch.autocast("cpu", dtype):
        assert torch.equal(loss(logits, targets), expected)


@every_loss
def test_a_logit_that_is_not_a_number_is_seen(name):
    logits = noise()
    logits[0, 1] = torch.nan

    assert build(name)(logits, labels()).isnan()


@every_variant
def test_scale_is_a_factor(name, options):
    one, many = (build(name, **options, scale=scale) for scale in (1, 160.0))

    assert many(noise(), labels()).item() == pytest.approx(160 * one(noise(), labels()).item(), rel=1e-12)


@every_loss
def test_a_loss_names_the_tasks_that_it_can_train(name):
    tasks = registry.find("losses", name).TASKS

    assert tasks
    assert set(tasks) <= {"multi_label", "single_label"}


@every_loss
@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan")])
def test_a_scale_that_would_not_learn_is_refused(name, scale):
    with pytest.raises(ValueError, match=f"scale must be greater than 0, not {scale}"):
        build(name, scale=scale)


@every_loss
def test_the_order_of_classes_and_of_videos_does_not_matter(name):
    loss, logits, targets = build(name), noise(), labels()
    classes, videos = torch.tensor([3, 1, 4, 0, 2]), torch.tensor([2, 0, 3, 1])

    expected = gradient(loss, logits, targets)[videos][:, classes]
    permuted = gradient(loss, logits[videos][:, classes], targets[videos][:, classes])

    torch.testing.assert_close(permuted, expected, rtol=1e-12, atol=1e-15)


@every_loss
def test_targets_may_be_of_any_type(name):
    expected = build(name)(noise(), labels())

    for kind in (torch.float32, torch.uint8, torch.int64):
        torch.testing.assert_close(build(name)(noise(), labels().to(kind)), expected, check_dtype=False)


@every_loss
def test_targets_of_another_shape_are_refused(name):
    with pytest.raises(ValueError):
        build(name)(noise(), labels()[0])


@every_loss
def test_no_tensor_is_larger_than_videos_times_classes(name):
    class Largest(TorchDispatchMode):
        size = 0

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            out = function(*args, **(kwargs or {}))
            for tensor in out if isinstance(out, tuple | list) else [out]:
                if isinstance(tensor, Tensor):
                    self.size = max(self.size, tensor.numel())
            return out

    with Largest() as largest:
        gradient(build(name), noise(8, 50), (noise(8, 50, seed=1) > 0).double())

    assert 8 * 50 <= largest.size <= 8 * (50 + 1)  # the 1 is the empty sum of warp


@pytest.mark.parametrize("name", ["bce", "asymmetric", "cross_entropy"])
def test_the_loss_of_mixed_targets_is_the_mixture_of_the_losses(name):
    loss, logits, one, other = build(name), noise(), labels(), labels().flip(0)

    mixed = loss(logits, 0.3 * one + 0.7 * other)

    torch.testing.assert_close(mixed, 0.3 * loss(logits, one) + 0.7 * loss(logits, other), rtol=1e-12, atol=0)


@every_ranking_loss
def test_a_ranking_loss_refuses_mixed_targets(name):
    with pytest.raises(ValueError, match=r"puts present.*\(4, 5\).*each 0 or 1.*bce or asymmetric"):
        build(name)(noise(), 0.7 * labels())


@every_ranking_loss
def test_ranking_sees_differences_only(name):
    loss, logits, targets = build(name), noise(), labels()
    shift = torch.tensor([[3.0], [-50.0], [7.0], [1e6]], dtype=torch.float64)  # each video its own

    torch.testing.assert_close(loss(logits + shift, targets), loss(logits, targets), rtol=1e-9, atol=0)
    pulls = gradient(loss, logits, targets)
    torch.testing.assert_close(gradient(loss, logits + shift, targets), pulls, rtol=1e-8, atol=1e-12)
    torch.testing.assert_close(pulls.sum(1), torch.zeros(4).double(), rtol=0, atol=1e-12)


@every_ranking_loss
def test_ranking_pulls_present_classes_up_and_absent_ones_down(name):
    pulls = gradient(build(name), torch.zeros(2, 5), labels()[:2])

    assert torch.equal(pulls.sign(), 1 - 2 * labels()[:2].float())


@every_ranking_loss
def test_a_perfect_ranking_with_a_wide_margin_costs_nothing(name):
    assert build(name)(100 * labels().float(), labels()).item() == pytest.approx(0, abs=1e-30)


@every_ranking_loss
def test_a_video_without_pairs_costs_nothing_and_has_no_gradient(name):
    loss = build(name)

    for rows in (slice(2, 3), slice(3, 4), slice(2, 4)):
        assert loss(noise()[rows], labels()[rows]) == 0
    assert not gradient(loss, noise(), labels())[2:].any()


@pytest.mark.parametrize(("name", "without", "full"), [("lsep", 2 / 3, 2 / 3), ("wlsep", 1, 3 / 8), ("warp", 1, 3 / 8)])
def test_lsep_is_a_mean_over_videos_the_others_over_labels(name, without, full):
    loss, logits, targets = build(name), noise(), labels()
    alone = loss(logits[:2], targets[:2]).item()  # two videos, three labels

    assert loss(logits[:3], targets[:3]).item() == pytest.approx(without * alone)
    assert loss(logits[[0, 1, 3]], targets[[0, 1, 3]]).item() == pytest.approx(full * alone)


MULTI_LABEL = [(name, options) for name, options in VARIANTS if name != "cross_entropy"]


def partly_known() -> Tensor:
    """Rows with a label, and at least one class that is absent or not known."""
    return torch.tensor([[1, -1, 1, 0, 0], [0, -1, -1, 1, 0], [0, 0, -1, -1, -1], [1, 1, -1, -1, 1]]).double()


@pytest.mark.parametrize(("name", "options"), MULTI_LABEL, ids=str)
def test_a_class_that_is_not_known_costs_nothing(name, options):
    loss, logits, targets = build(name, **options).double(), noise(), partly_known()
    found = gradient(loss, logits, targets)
    assert (found[targets < 0] == 0).all()
    assert found[:2].abs().sum() > 0
    moved = torch.where(targets < 0, 9 * noise(seed=1), logits)
    assert loss(moved, targets).item() == pytest.approx(loss(logits, targets).item(), rel=1e-12)


@pytest.mark.parametrize(("name", "options"), MULTI_LABEL, ids=str)
def test_the_known_classes_cost_what_they_do_alone(name, options):
    loss, logits, targets = build(name, **options).double(), noise(), partly_known()
    weights = getattr(loss, "class_weights", None)
    total, divisor = 0.0, {"videos": len(targets), "labels": int((targets > 0).sum())}
    for logit, target in zip(logits, targets, strict=True):
        known = target >= 0
        if weights is not None:
            loss.class_weights = weights[known]
        count = {"videos": 1.0, "labels": float((target > 0).sum())}[registry.find("losses", name).MEAN_OVER]
        if name not in RANKING:  # a mean over classes too
            count *= float(known.sum()) / targets.shape[1]
        total += count * float(loss(logit[None, known], target[None, known]))
    loss.class_weights = weights
    expected = total / divisor[registry.find("losses", name).MEAN_OVER]
    assert float(loss(logits, targets)) == pytest.approx(expected, rel=1e-9)


def test_bce_of_labels_that_are_not_known_is_that_of_torch_with_weights():
    logits, targets = noise(), partly_known()
    expected = nn.functional.binary_cross_entropy_with_logits(
        logits, (targets == 1).double(), weight=(targets != -1).double()
    )
    assert float(build("bce")(logits, targets)) == pytest.approx(float(expected), rel=1e-12)


@pytest.mark.parametrize(("name", "options"), WITH_PARTS)
@pytest.mark.parametrize("mixed", [False, True])
def test_the_parts_sum_to_the_loss_and_each_sees_its_own_classes(name, options, mixed):
    loss, logits = build(name, **options), noise()
    targets = 0.7 * labels() + 0.3 * labels().flip(0) if mixed else labels()
    parts = loss.parts(logits, targets)
    assert sum(parts.values()) == pytest.approx(loss(logits, targets).item(), rel=1e-5)

    raised = logits + 3 * (targets == 1)  # present classes alone stand higher
    moved = {part: bool(value != parts[part]) for part, value in loss.parts(raised, targets).items()}
    assert moved == {"present": True, "absent": bool(options.get("smoothing"))}


@pytest.mark.parametrize(("name", "options"), WITH_PARTS)
def test_the_parts_sum_to_the_loss_where_classes_are_not_known(name, options):
    loss, logits, targets = build(name, **options).double(), noise(), partly_known()
    assert sum(loss.parts(logits, targets).values()).item() == pytest.approx(loss(logits, targets).item(), rel=1e-9)
