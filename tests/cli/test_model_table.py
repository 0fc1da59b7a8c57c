"""The table of models against the counts that were measured on the peers' own classes, and against docs/models.md."""

from pathlib import Path

import pytest

from pipeline.cli import model_table
from pipeline.core import registry

ROOT = Path(__file__).parents[2]
CONF = ROOT / "conf"
PEERS = {  # config: (parameters, GMACs), 313 classes, one training clip
    "tsn_r101": (43_141_497, 39.00),
    "tsn_senet154": (113_681_321, 103.44),
    "tsn_inceptionresnetv2": (54_787_545, 32.34),
    "tsm_r50": (24_149_369, 32.70),
    "tsm_r50_16f": (24_149_369, 65.40),
    "tsm_r101": (43_141_497, 62.40),
    "tsm_r50_nl": (31_507_833, 61.10),
    "tin_r50": (24_180_377, 32.70),
    "tin_r50_16f": (24_183_833, 65.41),
    "tin_r101": (43_213_254, 62.40),
    "tin_r101_16f": (43_220_382, 124.80),
    "trn_r50": (25_242_233, 32.70),
    "trn_multiscale_r50": (26_891_215, 32.71),
    "slowfast_8x8_r101": (62_625_192, 24.71),
    "slowfast_11x8_r101": (62_625_192, 33.97),
    "slowfast_8x8_r50": (34_365_953, 13.19),
    "fast_32x2_r101": (60_750_969, 97.39),
    "fast_16x2_r101": (60_750_969, 48.69),
    "slow_8x8_r101": (60_180_857, 21.91),
    "slow_8x4_r101": (60_180_857, 21.91),
    "slow_8x8_r50": (32_275_833, 11.00),
    "r3d_18": (33_364_473, 8.31),
    "r2plus1d_18": (33_339_166, 11.80),
    "mvit_v2_s": (34_470_841, 64.22),  # torchvision's, less 87 rows of the classifier
    "swin3d_t": (28_091_167, 87.8),
    "swin3d_s": (49_749_775, 165.7),
    "swin3d_b": (87_959_809, 281.3),
    "audio_r18": (11_330_809, 0.68),  # timm's resnet18 of one channel, 3 s
    "s3d": (8_230_873, 8 * 17.98),  # of 128 frames
    "tsm_diff_r50": (24_149_369 + 64 * 12 * 49, 32.70 + 8 * 112**2 * 64 * 12 * 49 / 1e9),  # 12 more channels of 7 x 7
    "tsm_flow_r50": (24_149_369 + 64 * 7 * 49, 32.70 + 8 * 112**2 * 64 * 7 * 49 / 1e9),  # 7 more
    "tsn_flow_r50": (24_149_369 + 64 * 7 * 49, 32.70 + 8 * 112**2 * 64 * 7 * 49 / 1e9),
}
OF_EXTRAS = {  # the same, of networks that need an extra: those of next to nobody's gate, and of the nightly one
    "videomae_b": (86_467_897, 180.3),  # transformers', less 87 rows of the classifier
    "videoprism_b": (124_055_609, 506.0),  # the same
    "ast_b": (86_594_063 - (527 - 313) * 769, 130.5),  # the same, of AudioSet's 527 classes
    "vjepa2_l": (353_542_457, 935.0),  # and with 139 more, without the predictor of 22 million
}


def head(channels: int, tokens: int) -> int:
    """Parameters of an attentive head: norm, projection, places and query, attention, MLP, linear layer."""
    before = 2 * channels + (channels + 1) * 256 + (tokens + 1) * 256
    return before + 4 * 257 * 256 + 2 * 256 + 257 * 1024 + 1025 * 256 + 257 * 313


def blocks(width: int, seen: int) -> int:
    """Multiplications of a transformer's block with so many tokens that see one another."""
    return 12 * width**2 * seen + 2 * width * seen**2


ENCODERS = {  # config: (parameters, GMACs of a frame) of timm's own network
    "siglip2_b": (92_884_224, 17.7),
    "pe_core_b": (92_886_528, 17.8),
    "dinov3_b": (85_641_216, 23.6),
    "dinov2_b": (86_582_016, 23.5),
}
PROBES = {  # config: (parameters of transformers' own encoder, its GMACs of a clip, its width)
    "videoprism_b_probe": (
        114_365_184,
        (16 * 12 * blocks(768, 256) + 256 * 4 * blocks(768, 16) + 4096 * 768 * 3 * 18**2) / 1e9,
        768,
    ),
    "vjepa2_l_probe": (303_885_312, (24 * blocks(1024, 2048) + 2048 * 1024 * 3 * 2 * 16**2) / 1e9, 1024),
}


@pytest.fixture(scope="module")
def configs():
    return model_table.configs(CONF)


@pytest.fixture(scope="module")
def page() -> set[tuple[str, ...]]:
    """The rows of the tables in docs/models.md: their cells."""
    lines = (ROOT / "docs" / "models.md").read_text(encoding="utf-8").splitlines()
    return {tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines if line.startswith("| `")}


def cost(name: str, configs, page) -> tuple[int, float]:
    """Parameters and GMACs by the row of the table, which the page must hold: to compute them twice takes long."""
    row = model_table.row(name, configs[name])
    assert tuple(row) in page, "run `make zoo`, put it into docs/models.md"
    return int(row[2].replace(",", "")), float(row[3])


@pytest.mark.parametrize("name", [*PEERS, *(pytest.param(name, marks=pytest.mark.nightly) for name in OF_EXTRAS)])
def test_costs_what_the_peers_class_costs(configs, page, name):
    parameters, gmacs = cost(name, configs, page)
    expected = (PEERS | OF_EXTRAS)[name]
    assert parameters == expected[0]
    assert gmacs == pytest.approx(expected[1], rel=0.01)


@pytest.mark.parametrize("name", ENCODERS)
def test_an_encoder_costs_what_it_costs_a_frame_and_a_head(configs, page, name):
    parameters, gmacs = cost(name, configs, page)
    expected = ENCODERS[name]
    assert parameters == expected[0] + head(768, tokens=8)
    assert gmacs == pytest.approx(expected[1] * configs[name].clip.sampler.frames, rel=0.01)


@pytest.mark.nightly
@pytest.mark.parametrize("name", PROBES)
def test_a_probe_costs_what_its_encoder_costs_a_clip_and_a_head(configs, page, name):
    parameters, gmacs = cost(name, configs, page)
    of_encoder, expected, width = PROBES[name]
    assert parameters == of_encoder + head(width, tokens=8 * 2 * 2)
    assert gmacs == pytest.approx(expected, rel=0.01)


def test_every_model_of_full_size_was_measured(configs):
    assert {name for name in configs if not name.endswith(("_demo", "_lite0")) and name != "probe"} == {
        *PEERS,
        *ENCODERS,
        *PROBES,
        *OF_EXTRAS,
    }


def test_a_row_says_how_long_a_clip_lasts(configs):
    rows = {name: model_table.row(name, configs[name]) for name in ("slowfast_11x8_r101", "tin_r101", "slow_8x4_r101")}
    assert rows["slowfast_11x8_r101"][-3:] == ["44", "112", "88"]
    assert rows["tin_r101"][-3:] == ["8", "224", "whole video"]
    assert rows["slow_8x4_r101"][-3:] == ["8", "112", "32"]


@pytest.mark.slow
def test_the_page_of_models_holds_the_small_ones(configs, page):
    small = {*configs} - {*PEERS, *ENCODERS, *PROBES, *OF_EXTRAS}
    alone = [name for name in small if not hasattr(registry.find("models", configs[name].arch), "EXTRA")]
    assert len(alone) > 9
    for name in alone:
        cost(name, configs, page)


@pytest.mark.nightly
def test_the_page_of_models_holds_the_table():
    page = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
    assert model_table.tables(CONF)[""] in page, "run `make zoo`, put it into docs/models.md"


@pytest.mark.nightly
def test_the_page_of_models_holds_the_tables_of_extras():
    page = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
    assert all(table in page for table in model_table.tables(CONF).values()), "run `make zoo`, put it into the page"
