"""TemporalInterlace and its parts against values that can be read, plain loops and the authors' code."""

import math

import pytest
import torch
from torch import Tensor

from pipeline.layers.interlace import TemporalInterlace, mix_frames, motion
from tests.support.golden import golden_io, keys


def move(clips: Tensor, offsets: Tensor) -> Tensor:
    """Clips (N, T, C, ...) by offsets (N, G)."""
    return mix_frames(clips, motion(offsets, clips.shape[1]))


def move_one_pixel(values: list[float], offset: float) -> list[float]:
    """A clip of single grey pixels, moved."""
    clip = torch.tensor(values, dtype=torch.float32).view(1, -1, 1)
    return move(clip, torch.tensor([[offset]])).flatten().tolist()


def move_by_loop(clip: Tensor, offset: float) -> Tensor:
    """The definition, for one clip (T, ...) and one offset."""
    out = torch.zeros_like(clip)
    whole = math.floor(offset)
    for t in range(len(clip)):
        for source, share in ((t - whole, 1 - (offset - whole)), (t - whole - 1, offset - whole)):
            if 0 <= source < len(clip):
                out[t] += share * clip[source]
    return out


def interlace_by_loop(layer: TemporalInterlace, clip: Tensor) -> Tensor:
    """The layer's definition for one clip (T, C, H, W), group by group."""
    out = clip.clone()
    size = clip.shape[1] // 4 // 4
    summary = clip[:, : 4 * size].mean(dim=3).mean(dim=2).T.unsqueeze(0)
    net = layer.offset_net
    hidden = (net.hidden.weight @ net.conv(summary).flatten() + net.hidden.bias).clamp(min=0)
    first, second = 4 * (torch.sigmoid(net.out.weight @ hidden + net.out.bias) - 0.5)
    weights = 2 * torch.sigmoid(layer.weight_net(summary))[0]  # (2, T)
    for group, offset in enumerate([first, second, -first, -second]):
        channels = slice(group * size, (group + 1) * size)
        out[:, channels] = move_by_loop(clip[:, channels], offset.item())
        for t in range(len(clip)):
            out[t, channels] *= weights[group % 2, t]
    return out


def filled(channels: int, frames: int) -> TemporalInterlace:
    """A layer with arbitrary but fixed weights."""
    layer = TemporalInterlace(channels, frames)
    golden_io.fill(layer)
    return layer


def golden_layer() -> TemporalInterlace:
    """The layer of the golden files."""
    layer = TemporalInterlace(channels=64, frames=8)
    layer.load_state_dict(keys.weights("tin_temporal_deform_c64_t8", keys.X_TEMPORAL_INTERLACE))
    return layer


@pytest.mark.parametrize(
    ("offset", "moved"),
    [
        (0.0, [8, 4, 2]),
        (1.0, [0, 8, 4]),  # to later frames
        (-1.0, [4, 2, 0]),
        (0.25, [6, 5, 2.5]),
        (-0.5, [6, 3, 1]),
        (1.75, [0, 2, 7]),
        (2.5, [0, 0, 4]),
        (3.0, [0, 0, 0]),  # out of the clip
        (-9.0, [0, 0, 0]),
    ],
)
def test_a_frame_comes_from_the_two_around_its_source(offset: float, moved: list[float]):
    assert move_one_pixel([8, 4, 2], offset) == moved


def test_the_example_of_the_docstring():
    matrix = motion(torch.tensor([[0.25]]), frames=3)[0, 0]

    assert matrix.tolist() == [[0.75, 0, 0], [0.25, 0.75, 0], [0, 0.25, 0.75]]


def test_each_group_of_each_clip_has_its_own_offset():
    clips = torch.tensor([[[1, 10], [2, 20]], [[3, 30], [4, 40]]]).float()  # (N, T, C)

    moved = move(clips, torch.tensor([[1.0, 0.0], [-1.0, 1.0]]))

    assert moved.tolist() == [[[0, 10], [1, 20]], [[4, 0], [0, 30]]]


@pytest.mark.parametrize("offset", [-7.3, -2.0, -1.99, -0.4, 0.0, 0.001, 0.5, 1.0, 1.7, 4.2])
def test_moving_equals_the_definition(offset: float):
    clip = golden_io.make_input((5, 3, 2, 2)).double()

    moved = move(clip.unsqueeze(0), torch.tensor([[offset]], dtype=torch.float64))[0]

    torch.testing.assert_close(moved, move_by_loop(clip, offset))


def test_moving_and_its_gradients_equal_the_authors_code():
    golden = keys.read("tin_linear_sampler")
    offsets = golden["bias"].requires_grad_()  # some of them whole numbers, where the slope has a corner
    clips = golden_io.make_input((3, 8, 16, 3, 2)).requires_grad_()

    moved = move(clips, offsets)
    (moved * golden_io.make_input(moved.shape, seed=99)).sum().backward()

    torch.testing.assert_close(moved, golden["out"], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(clips.grad, golden["dx"], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(offsets.grad, golden["dbias"], rtol=1e-4, atol=1e-4)


def test_whole_offsets_equal_the_authors_cuda_kernel():
    golden = keys.read("tin_shift_kernel")
    clips = golden["data"].requires_grad_()

    moved = move(clips, golden["shift"].float())
    moved.backward(golden["grad_in"])

    assert torch.equal(moved, golden["out"])
    assert torch.equal(clips.grad, golden["grad_out"])


def test_the_layer_equals_the_authors_code():
    golden = keys.read("tin_temporal_deform_c64_t8")
    layer = golden_layer()
    seen = {}
    layer.offset_net.register_forward_hook(lambda _, __, offsets: seen.update(offsets=offsets))
    layer.weight_net.register_forward_hook(lambda _, __, raw: seen.update(weights=2 * raw.sigmoid()))

    clips = layer(golden_io.make_input((16, 64, 5, 5))).unflatten(0, (2, 8))

    torch.testing.assert_close(seen["offsets"], golden["offset"], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(seen["weights"].mT, golden["weight"], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(clips[:, :2], golden["out_first2frames"], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(clips[:, -2:], golden["out_last2frames"], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(clips.mean(dim=(3, 4)), golden["out_mean_nct"], rtol=1e-5, atol=1e-5)


def test_the_layers_gradients_equal_the_authors_code():
    golden = keys.read("tin_temporal_deform_grads")
    layer = golden_layer()
    x = golden_io.make_input((16, 64, 5, 5)).requires_grad_()

    out = layer(x)
    (out * golden_io.make_input(out.shape, seed=99)).sum().backward()

    parameters = dict(layer.named_parameters())
    compared = [key for key in golden if key.startswith("d_")]
    assert len(compared) == len(parameters)
    for key in compared:
        name = keys.rename(key.removeprefix("d_"), keys.X_TEMPORAL_INTERLACE)
        torch.testing.assert_close(parameters[name].grad, golden[key], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(x.grad.mean(dim=(2, 3)), golden["dx_mean_nct"], rtol=1e-4, atol=1e-4)


def test_the_layer_equals_its_definition():
    layer = filled(channels=32, frames=5)
    clips = golden_io.make_input((3, 5, 32, 2, 3))

    with torch.no_grad():
        expected = torch.stack([interlace_by_loop(layer, clip) for clip in clips])
        torch.testing.assert_close(layer(clips.flatten(0, 1)).unflatten(0, (3, 5)), expected)


def test_three_quarters_of_the_channels_stay_as_they_are():
    x = golden_io.make_input((8, 32, 2, 2))

    out = filled(channels=32, frames=4)(x)

    assert torch.equal(out[:, 8:], x[:, 8:])
    assert not torch.isclose(out[:, :8], x[:, :8]).any()


@pytest.mark.parametrize("start", [0.5, -1.25, 0.0])
def test_offsets_start_where_they_are_told_and_weights_at_one(start: float):
    layer = TemporalInterlace(channels=16, frames=4, offset_init=start)
    silent = torch.zeros(1, 4, 4)
    layer.offset_net.out.weight.data.zero_()

    torch.testing.assert_close(layer.offset_net(silent), torch.full((1, 2), start))
    assert (2 * layer.weight_net(silent).sigmoid()).unique().tolist() == [1]


def test_the_published_start_is_a_bias_of_0_5108():
    published = keys.read("tin_temporal_deform_c64_t8")["meta"]["fresh_init"]["bias_last"]

    bias = TemporalInterlace(channels=16, frames=4).offset_net.out.bias
    assert bias.tolist() == pytest.approx([published] * 2, abs=1e-4)


def test_gradients_are_exact():
    layer = filled(channels=16, frames=3).double()
    x = golden_io.make_input((6, 16, 1, 2)).double()
    names, parameters = zip(*layer.named_parameters(), strict=True)

    def run(x: Tensor, *values: Tensor) -> Tensor:
        return torch.func.functional_call(layer, dict(zip(names, values, strict=True)), x)

    assert torch.autograd.gradcheck(run, (x.requires_grad_(), *parameters))


def test_clips_of_a_batch_do_not_mix():
    layer = filled(channels=16, frames=4)
    x = golden_io.make_input((12, 16, 2, 2))

    torch.testing.assert_close(layer(x), torch.cat([layer(clip) for clip in x.split(4)]))


def test_the_memory_format_does_not_matter():
    layer = filled(channels=16, frames=4)
    x = golden_io.make_input((8, 16, 3, 5))

    torch.testing.assert_close(layer(x.to(memory_format=torch.channels_last)), layer(x))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_comes_out_as_it_went_in(dtype: torch.dtype):
    layer = filled(channels=16, frames=4)
    x = golden_io.make_input((8, 16, 3, 3))
    expected = layer(x)

    out = layer.to(dtype)(x.to(dtype))

    assert out.dtype == dtype
    torch.testing.assert_close(out.float(), expected, rtol=0.05, atol=0.05)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_autocast_keeps_the_type_of_the_frames(dtype: torch.dtype):
    layer = filled(channels=16, frames=4)
    x = golden_io.make_input((8, 16, 3, 3))
    expected = layer(x)

    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = layer(x.to(dtype))
    out.float().sum().backward()

    assert out.dtype == dtype
    torch.testing.assert_close(out.float(), expected, rtol=0.05, atol=0.05)


def test_nothing_waits_for_a_value_on_the_host():
    with torch.device("meta"):  # where tensors have no values, so that asking for one fails
        out = TemporalInterlace(channels=16, frames=4)(torch.empty(8, 16, 2, 2))

    assert out.shape == (8, 16, 2, 2)


@pytest.mark.slow
def test_compiles_whole_for_any_batch():
    layer = filled(channels=16, frames=3)
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")

    for clips in (1, 2, 5):
        x = golden_io.make_input((3 * clips, 16, 2, 2))
        torch.testing.assert_close(compiled(x), layer(x))


def test_the_backward_pass_keeps_only_the_moved_frames():
    layer = filled(channels=16, frames=4)
    x = golden_io.make_input((8, 16, 32, 32)).requires_grad_()
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        out = layer(x)

    moved_bytes = x.nbytes // 4
    assert out.requires_grad
    assert moved_bytes <= sum(kept.values()) < 1.1 * moved_bytes


def test_channels_that_do_not_form_four_groups_are_refused():
    with pytest.raises(ValueError, match="24 channels"):
        TemporalInterlace(channels=24, frames=8)


@pytest.mark.parametrize("start", [2.0, -2.0, math.nan])
def test_a_start_that_no_offset_can_reach_is_refused(start: float):
    with pytest.raises(ValueError, match="offset_init"):
        TemporalInterlace(channels=16, frames=8, offset_init=start)
