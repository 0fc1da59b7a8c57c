"""Folders that transformers publishes: what is read of them, and what is refused. No test here needs the library."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from pipeline.cli import checkpoint_report
from pipeline.core.errors import UserError
from pipeline.layers.log_mel import MelSpec
from pipeline.layers.normalize import InputSpec
from pipeline.pretrained import published_folder
from pipeline.pretrained.load import Candidate
from pipeline.pretrained.report import in_words

CONFIG = {"model_type": "videomae", "image_size": 32, "num_frames": 4, "num_attention_heads": 2}
IMAGENET = InputSpec((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
TOLD = {"image_mean": list(IMAGENET.mean), "image_std": list(IMAGENET.std), "crop_size": {"height": 32, "width": 32}}
TENSORS = {
    "videomae.embeddings.patch_embeddings.projection.weight": torch.ones(4, 3, 2, 8, 8),
    "videomae.encoder.layer.0.attention.attention.q_bias": torch.full((4,), 2.0),
    "videomae.encoder.layer.0.attention.attention.v_bias": torch.full((4,), 3.0),
    "fc_norm.weight": torch.ones(4),
    "classifier.weight": torch.ones(3, 4),
    "classifier.bias": torch.ones(3),
}


def write(folder: Path, name: str, told: Any) -> None:
    (folder / name).write_text(told if isinstance(told, str) else json.dumps(told), encoding="utf-8")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path, "config.json", CONFIG)
    write(tmp_path, "preprocessor_config.json", TOLD)
    safetensors.torch.save_file(TENSORS, tmp_path / "model.safetensors", {"format": "pt"})
    return tmp_path


def test_tensors_get_our_names_with_their_values(folder):
    found = Candidate.read(folder)
    assert found.source == "transformers"
    attention = "backbone.network.encoder.layer.0.attention.attention"
    values = {name: float(tensor.flatten()[0]) for name, tensor in found.translation.tensors.items()}
    assert values == {
        "backbone.network.embeddings.patch_embeddings.projection.weight": 1.0,
        f"{attention}.query.bias": 2.0,
        f"{attention}.value.bias": 3.0,
        "backbone.norm.weight": 1.0,
        "classifier.weight": 1.0,
        "classifier.bias": 1.0,
    }
    assert found.translation.input == IMAGENET
    assert found.translation.needs == {"frames": 4, "size": 32, "heads": 2, "mean_pooling": True}
    assert found.describe().startswith("videomae")


@pytest.mark.parametrize(
    ("config", "names", "ours", "arch", "needs"),
    [
        (
            {"model_type": "videoprism_vision_model", "image_size": 32, "num_attention_heads": 2},
            [
                "vision_model.spatial_embeddings.patch_embeddings.projection.weight",
                "vision_model.layernorm1.weight",
                "head.pooling_attention_query",
                "head_layernorm.weight",
                "classifier.weight",
            ],
            [
                "backbone.encoder.spatial_embeddings.patch_embeddings.projection.weight",
                "backbone.encoder.layernorm1.weight",
                "backbone.head.pool.pooling_attention_query",
                "backbone.head.norm.weight",
                "classifier.weight",
            ],
            "videoprism",
            {"frames": 16, "size": 32, "heads": 2},
        ),
        (
            {"model_type": "vjepa2", "crop_size": 32, "frames_per_clip": 64},
            [
                "vjepa2.encoder.layer.0.norm1.weight",
                "vjepa2.predictor.proj.weight",
                "pooler.query_tokens",
                "classifier.weight",
            ],
            ["backbone.encoder.layer.0.norm1.weight", "backbone.head.query_tokens", "classifier.weight"],
            "vjepa2",
            {"size": 32, "heads": 16},
        ),
        (
            {"model_type": "vjepa2", "crop_size": 32},
            ["encoder.embeddings.patch_embeddings.proj.weight", "predictor.proj.weight"],
            ["backbone.encoder.embeddings.patch_embeddings.proj.weight"],
            "vjepa2",
            {"size": 32, "heads": 16},
        ),
        (
            {"model_type": "videomae", "image_size": 32, "use_mean_pooling": False},
            ["videomae.embeddings.patch_embeddings.projection.weight", "videomae.layernorm.weight", "mask_token"],
            ["backbone.network.embeddings.patch_embeddings.projection.weight"],
            "videomae",
            {"frames": 16, "size": 32, "heads": 12},
        ),
        (
            {"model_type": "videomae", "image_size": 32, "use_mean_pooling": False},
            [
                "videomae.embeddings.patch_embeddings.projection.weight",
                "videomae.layernorm.weight",
                "classifier.weight",
            ],
            [
                "backbone.network.embeddings.patch_embeddings.projection.weight",
                "backbone.network.layernorm.weight",
                "classifier.weight",
            ],
            "videomae",
            {"frames": 16, "size": 32, "heads": 12, "mean_pooling": False},
        ),
    ],
)
def test_each_kind_of_network_gets_our_names(folder, config, names, ours, arch, needs):
    write(folder, "config.json", config)
    tensors = {name: torch.ones(4, 3, 2, 8, 8) if "patch_embeddings" in name else torch.ones(4) for name in names}
    safetensors.torch.save_file(tensors, folder / "model.safetensors")
    translation = Candidate.read(folder).translation
    assert sorted(translation.tensors) == sorted(ours)
    assert len(translation.unused) == len(names) - len(ours)
    assert translation.needs == needs
    assert bool(translation.fresh) == ("classifier.weight" not in names)
    if any("patch_embeddings" in name for name in names):
        assert Candidate.read(folder).describe().startswith(arch)


SOUND = {
    "feature_extractor_type": "ASTFeatureExtractor", "do_normalize": True, "sampling_rate": 16000,
    "num_mel_bins": 32, "max_length": 40, "mean": -3.0, "std": 2.0,
}  # fmt: skip
AST = {
    "model_type": "audio-spectrogram-transformer", "num_mel_bins": 32, "max_length": 40, "frequency_stride": 8,
    "num_attention_heads": 2, "id2label": {"0": "a", "1": "b", "2": "c"},
}  # fmt: skip


@pytest.fixture
def hearing(folder: Path) -> Path:
    """A folder of AST, with the names that its published file has."""
    write(folder, "config.json", AST)
    write(folder, "preprocessor_config.json", SOUND)
    own, block = "audio_spectrogram_transformer.", "encoder.layer.0."
    names = {
        f"{own}embeddings.cls_token": 1.0,
        f"{own}{block}attention.attention.query.weight": 2.0,
        f"{own}{block}attention.attention.value.bias": 3.0,
        f"{own}{block}attention.output.dense.weight": 4.0,
        f"{own}{block}intermediate.dense.weight": 5.0,
        f"{own}{block}output.dense.weight": 6.0,
        f"{own}{block}layernorm_before.weight": 7.0,
        "classifier.layernorm.weight": 8.0,
        "classifier.dense.weight": 9.0,
    }
    tensors = {name: torch.full((3,), value) for name, value in names.items()}
    first = {f"{own}embeddings.patch_embeddings.projection.weight": torch.ones(4, 1, 8, 8)}
    safetensors.torch.save_file(tensors | first, folder / "model.safetensors")
    return folder


def test_a_network_that_hears_gets_our_names_with_their_values(hearing):
    found = Candidate.read(hearing)
    values = {name: float(tensor.flatten()[0]) for name, tensor in found.translation.tensors.items()}
    block = "backbone.network.layers.0."
    assert values == {
        "backbone.network.embeddings.cls_token": 1.0,
        "backbone.network.embeddings.patch_embeddings.projection.weight": 1.0,
        f"{block}attention.q_proj.weight": 2.0,
        f"{block}attention.v_proj.bias": 3.0,
        f"{block}attention.o_proj.weight": 4.0,
        f"{block}mlp.fc1.weight": 5.0,
        f"{block}mlp.fc2.weight": 6.0,
        f"{block}layernorm_before.weight": 7.0,
        "backbone.norm.weight": 8.0,
        "classifier.weight": 9.0,
    }
    assert found.translation.input == MelSpec.kaldi(mels=32, columns=40, mean=-3.0, std=4.0)
    assert found.translation.needs == {
        "mels": 32, "columns": 40, "frequency_stride": 8, "time_stride": 10, "heads": 2,
    }  # fmt: skip
    assert found.translation.classes == ("a", "b", "c")
    assert found.translation.licence == "bsd-3-clause (the authors'; the folder states none)"
    assert found.describe().startswith("ast")


def test_sound_that_is_not_normalised_stays_as_it_is(hearing):
    write(hearing, "preprocessor_config.json", SOUND | {"do_normalize": False})
    assert Candidate.read(hearing).translation.input == MelSpec.kaldi(mels=32, columns=40, mean=0.0, std=1.0)


def test_preprocessing_of_sound_may_stand_in_the_file_of_a_processor(hearing):
    (hearing / "preprocessor_config.json").unlink()
    write(hearing, "processor_config.json", {"feature_extractor": SOUND})
    assert Candidate.read(hearing).translation.input == MelSpec.kaldi(mels=32, columns=40, mean=-3.0, std=4.0)


@pytest.mark.parametrize(
    ("file", "told", "said"),
    [
        ("preprocessor_config.json", SOUND | {"max_length": 50}, "says 50 columns, and config.json 40"),
        ("preprocessor_config.json", SOUND | {"num_mel_bins": 64}, "says 64 bands, and config.json 32"),
        (
            "preprocessor_config.json",
            SOUND | {"sampling_rate": 32000},
            "hear 32000 samples a second, and models here 16000",
        ),
        ("preprocessor_config.json", SOUND | {"std": None}, "does not state sampling_rate.*mean and std"),
        ("preprocessor_config.json", {"feature_extractor_type": "ASTFeatureExtractor"}, "does not state sampling_rate"),
        ("preprocessor_config.json", TOLD, "makes pixels, and config.json's network takes sound"),
        ("config.json", CONFIG, "makes images of sound, and config.json's network takes pixels"),
        ("config.json", AST | {"patch_size": 16, "qkv_bias": False}, "qkv_bias False, and the network here has True"),
        (
            "video_preprocessor_config.json",
            SOUND | {"mean": 0.0},
            r"itself: preprocessor_config.json says mean -3.0.*32 bands and 40 columns.*says mean 0.0",
        ),
    ],
)
def test_a_folder_that_hears_and_contradicts_itself_is_refused(hearing, file, told, said):
    write(hearing, file, told)
    with pytest.raises(UserError, match=said):
        Candidate.read(hearing)


def test_one_file_can_be_made_of_a_folder_and_says_the_same(folder, tmp_path_factory):
    whole, file = Candidate.read(folder), tmp_path_factory.mktemp("saved") / "one.safetensors"
    whole.weights.write(file)
    again = Candidate.read(file)
    assert again.source == "transformers"
    assert again.translation.tensors.keys() == whole.translation.tensors.keys()
    others = (replace(found.translation, tensors={}) for found in (whole, again))
    assert next(others) == next(others)


@pytest.mark.parametrize(
    ("named", "classes"),
    [
        ({"0": "a", "1": "b", "2": "c"}, ("a", "b", "c")),
        ({"2": "c", "0": "a", "1": "b"}, ("a", "b", "c")),
        ({"0": "LABEL_0", "1": "LABEL_1", "2": "LABEL_2"}, ()),
        ({"0": "a"}, ()),
        (None, ()),
    ],
)
def test_classes_are_those_that_the_config_names(folder, named, classes):
    write(folder, "config.json", CONFIG | {"id2label": named})
    assert Candidate.read(folder).translation.classes == classes


def test_several_files_of_weights_are_read_as_one(folder):
    whole = Candidate.read(folder)
    (folder / "model.safetensors").unlink()
    parts = {f"model-0000{n}-of-00002.safetensors": list(TENSORS)[n - 1 :: 2] for n in (1, 2)}
    for name, entries in parts.items():
        safetensors.torch.save_file({entry: TENSORS[entry] for entry in entries}, folder / name)
    listed = {entry: name for name, entries in parts.items() for entry in entries}
    write(folder, "model.safetensors.index.json", {"weight_map": listed})
    found = Candidate.read(folder)
    assert found.translation.tensors.keys() == whole.translation.tensors.keys()
    assert found.weights.sha256 != whole.weights.sha256
    (folder / name).unlink()
    with pytest.raises(UserError, match="has no model-00002-of-00002.safetensors. Fetch it, too"):
        Candidate.read(folder)


def test_an_index_that_leads_elsewhere_is_refused(folder):
    write(folder, "model.safetensors.index.json", {"weight_map": {"a": "../model.safetensors"}})
    with pytest.raises(UserError, match="lists no files of weights in its folder"):
        Candidate.read(folder)


@pytest.mark.parametrize("file", ["config.json", "preprocessor_config.json", "model.safetensors"])
def test_the_hash_is_of_all_that_is_read_and_of_nothing_else(folder, file):
    before = Candidate.read(folder).weights.sha256
    write(folder, "notes.txt", "mine")
    assert Candidate.read(folder).weights.sha256 == before
    if file == "model.safetensors":
        safetensors.torch.save_file(TENSORS | {"classifier.bias": torch.zeros(3)}, folder / file)
    else:
        write(folder, file, json.loads((folder / file).read_text()) | {"some": "thing"})
    assert Candidate.read(folder).weights.sha256 != before


@pytest.mark.parametrize(
    ("preprocessing", "spec"),
    [
        ({"do_normalize": False, "image_mean": None}, InputSpec((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))),
        ({"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}, InputSpec((0.5,) * 3, (0.5,) * 3)),
        ({"crop_size": 32}, IMAGENET),
        ({"crop_size": None, "do_center_crop": False, "size": {"height": 32, "width": 32}}, IMAGENET),
        ({"crop_size": None, "do_center_crop": False, "size": {"shortest_edge": 40}}, IMAGENET),
    ],
)
def test_the_input_is_what_the_preprocessing_says(folder, preprocessing, spec):
    write(folder, "preprocessor_config.json", TOLD | preprocessing)
    assert Candidate.read(folder).translation.input == spec


def test_preprocessing_may_stand_in_the_file_of_a_processor(folder):
    (folder / "preprocessor_config.json").unlink()
    write(folder, "processor_config.json", {"video_processor": TOLD, "tokenizer": {}})
    assert Candidate.read(folder).translation.input == IMAGENET


@pytest.mark.parametrize(
    ("file", "told", "said"),
    [
        (
            "config.json",
            CONFIG | {"image_size": 64},
            r"preprocessor_config.json says crops of 32 pixels.*config.json 64",
        ),
        ("config.json", CONFIG | {"image_size": [32, 64]}, r"image_size \[32, 64\], which is no square"),
        ("config.json", CONFIG | {"layer_norm_eps": 1e-6}, "layer_norm_eps 1e-06, and the network here has 1e-12"),
        (
            "config.json",
            CONFIG | {"model_type": "vivit"},
            "of 'vivit'; models here take audio-spectrogram-transformer, videomae",
        ),
        ("config.json", "{", "config.json is missing or damaged"),
        ("config.json", "[]", "holds no settings by name"),
        ("preprocessor_config.json", {"size": 32}, "states no image_mean and image_std"),
        ("preprocessor_config.json", TOLD | {"image_std": [0.5]}, "states no image_mean and image_std"),
        ("preprocessor_config.json", TOLD | {"image_std": [10**309] * 3}, "states no image_mean and image_std"),
        ("preprocessor_config.json", TOLD | {"rescale_factor": 10**309}, "pixels that are not in 0..1"),
        ("preprocessor_config.json", TOLD | {"do_rescale": False}, "pixels that are not in 0..1"),
        ("preprocessor_config.json", TOLD | {"rescale_factor": 0.5}, "pixels that are not in 0..1"),
        (
            "preprocessor_config.json",
            TOLD | {"crop_size": {"height": 32, "width": 48}},
            "32 x 48 pixels are no squares",
        ),
        (
            "video_preprocessor_config.json",
            TOLD | {"image_mean": [0.5, 0.5, 0.5]},
            r"itself: preprocessor_config.json says mean \(0.485.*video_preprocessor_config.json says mean \(0.5",
        ),
        ("model.safetensors", "no table", "damaged safetensors"),
    ],
)
def test_a_folder_that_is_damaged_or_contradicts_itself_is_refused(folder, file, told, said):
    write(folder, file, told)
    with pytest.raises(UserError, match=said):
        Candidate.read(folder)


def test_a_folder_without_preprocessing_is_refused(folder):
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(UserError, match="nothing says what pixels its weights expect"):
        Candidate.read(folder)


def test_a_folder_of_something_else_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"is a folder. Name the file in it"):
        Candidate.read(tmp_path)


@pytest.mark.parametrize(
    ("card", "stated"),
    [
        ("---\nlicense: cc-by-nc-4.0\n---\n# A", "cc-by-nc-4.0"),
        ("---\nlicense: other\nlicense_name: mine\nlicense_link: LICENSE\n---\n", "other mine LICENSE"),
        ("---\ntags: [a]\n---\n", ""),
        ("---\n: [\n---\n", ""),
        ("---\n- a\n---\n", ""),
        pytest.param(f"---\nlicense: {'9' * 5000}\n---\n", "", id="no number"),
        pytest.param(f"---\nlicense: 0x{'f' * 5000}\n---\n", "", id="no text"),
        ("---\nlicense: 2024-99-99\n---\n", ""),
        ("license: mit\n", ""),
    ],
)
def test_the_licence_is_that_of_the_model_card(folder, card, stated):
    write(folder, "README.md", card)
    assert published_folder.licence(folder) == stated
    assert Candidate.read(folder).translation.licence == (
        stated or "cc-by-nc-4.0 (the authors'; the folder states none)"
    )


@pytest.mark.parametrize(
    ("licence", "bound"),
    [
        ("cc-by-nc-4.0", True),
        ("CC BY-NC 4.0", True),
        ("other Non-Commercial", True),
        ("noncommercial", True),
        ("apache-2.0", False),
        ("mit", False),
        ("other ncsa", False),
    ],
)
def test_a_licence_that_excludes_commercial_use_is_said_aloud(licence, bound):
    assert ("NON-COMMERCIAL" in in_words(licence)) == bound
    assert in_words(licence).startswith(licence)


def test_a_report_of_the_command_says_what_is_missing(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    found = Candidate.read(folder)
    assert "licence     cc-by-nc-4.0 (the authors'; the folder states none) - NON-COMM" in checkpoint_report.summary(
        found
    )
    assert "seems to be videomae" in checkpoint_report.remedy(found)
    assert "'.[hf]'" in checkpoint_report.remedy(found)
