import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import timm
import torch
from safetensors.torch import save_file

from pipeline import features, metrics
from pipeline.clips.dataset import ClipConfig, MultiViewDataset
from pipeline.clips.sampling import SamplerConfig
from pipeline.clips.views import View, ViewGrid
from pipeline.core.errors import UserError
from pipeline.core.task import MULTI_LABEL
from pipeline.features import Features
from pipeline.layers.normalize import normalize
from pipeline.pretrained.weight_file import ORIGIN
from pipeline.runtime import distributed
from pipeline.runtime.checkpoint import Checkpoint
from pipeline.runtime.chunk_cache import ChunkCache
from pipeline.training import probe
from pipeline.training.config import LossConfig
from pipeline.training.frozen_config import ProbeConfig, ProbeTrainConfig
from pipeline.training.probe import fit_probe, frozen
from tests.support import tiny

OPTIONS = {"backbone": "resnet10t", "frames": 2, "rows": 1, "columns": 1}


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A probe that was fitted to the tiny corpus, whose classes are colours."""
    folder = tmp_path_factory.mktemp("probe")
    torch.manual_seed(0)
    origin = {ORIGIN: json.dumps({"name": "timm:resnet10t", "licence": "cc-by-nc-4.0"})}  # as when timm fetched them
    save_file(timm.create_model("resnet10t").state_dict(), folder / "net.safetensors", origin)
    train = ProbeTrainConfig(
        str(folder / "net.safetensors"),
        (1.0, 0.1, 0.01),
        (0.5, 1.0),
        folds=3,
        most=100,
        seed=0,
        loss=LossConfig("auto"),
    )
    config = ProbeConfig("probe", OPTIONS, ClipConfig(SamplerConfig("segments", 2), side=32, crop=32), train)
    manifest, store, _ = tiny.corpus(folder / "lmdb", train=24, val=6)
    network, spec, about = frozen(config, len(manifest.classes))
    machine, videos = tiny.machine(folder / "work"), [video for video in manifest.videos if video in store]
    features.write(network, spec, config.clip, videos, store, folder / "features", machine, {}, about)
    fit_probe(config, manifest, Features.read(folder / "features"), folder / "probe", machine, MULTI_LABEL)
    return folder, config, manifest, store, machine


def test_features_are_those_of_the_centre_clip_of_every_video(done):
    folder, config, manifest, store, *_ = done
    found = Features.read(folder / "features")
    assert found.videos == tuple(video for video in manifest.videos if video in store)
    network, spec, _ = frozen(config, 3)
    grid = ViewGrid((View(1, 0, config.clip.centre, "centre"),), {"clip": (0,)})
    for row in (0, len(found.videos) - 1):
        (views,) = MultiViewDataset([found.videos[row]], store, config.clip.sampler, grid)[0].values()
        with torch.inference_mode():
            expected = network.eval().features(normalize(views, spec))[0].numpy()
        np.testing.assert_allclose(found.values[row], expected, atol=2e-3, rtol=2e-3)  # they are float16


@pytest.mark.parametrize("finished", [0, 1])
def test_features_go_on_where_a_run_has_died_and_have_the_same_bytes(done, tmp_path, monkeypatch, finished):
    folder, config, manifest, store, machine = done
    network, spec, about = frozen(config, 3)
    videos = [video for video in manifest.videos if video in store]
    assert features.CHUNK < len(videos) < 2 * features.CHUNK
    machine = replace(machine, scratch=str(tmp_path / "scratch"))
    seen, write = [], ChunkCache.write
    see = type(network).features

    def die(own, number, rows):
        if number == finished:
            raise KeyboardInterrupt
        write(own, number, rows)

    monkeypatch.setattr(type(network), "features", lambda own, clip: seen.append(len(clip)) or see(own, clip))
    monkeypatch.setattr(ChunkCache, "write", die)
    with pytest.raises(KeyboardInterrupt):
        features.write(network, spec, config.clip, videos, store, tmp_path / "features", machine, {}, about)
    monkeypatch.setattr(ChunkCache, "write", write)
    assert not (tmp_path / "features").exists()
    seen.clear()
    features.write(network, spec, config.clip, videos, store, tmp_path / "features", machine, {}, about)
    assert sum(seen) == len(videos) - finished * features.CHUNK
    for name in ("features.npy", "videos.txt", "SHA256SUMS"):
        assert (tmp_path / "features" / name).read_bytes() == (folder / "features" / name).read_bytes()
    assert not list((tmp_path / "scratch" / "features").iterdir()), "what is done is no longer kept"


def test_one_of_several_devices_computes_the_features(done, tmp_path, monkeypatch):
    _, config, manifest, store, machine = done
    network, spec, about = frozen(config, 3)
    launch, asked = distributed.launch, []
    monkeypatch.setattr(distributed, "launch", lambda on: asked.append(on.devices) or launch(replace(on, devices=1)))
    videos, several = [manifest.videos[0]], replace(machine, devices=2)
    features.write(network, spec, config.clip, videos, store, tmp_path / "features", several, {}, about)
    assert asked == [1], "each process would compute all and write over the others"


def test_the_probe_learns_colours_and_scores_through_the_network_what_it_scored_on_features(done):
    folder, config, manifest, store, _ = done
    val = manifest.without(set(manifest.videos) - set(store.videos)).split("val")
    found = Features.read(folder / "features").of(val.videos)
    checkpoint = Checkpoint.read(folder / "probe")
    network, _ = config.build(3)
    network.load_state_dict(checkpoint.weights)
    with torch.inference_mode():
        scores = network.classifier(torch.from_numpy(found)).numpy()
    assert checkpoint.recipe["result"]["val_mAP"] == metrics.sample_map(scores, val.targets()) > 90


def test_every_pair_of_settings_was_compared_and_the_best_taken(done):
    folder, *_ = done
    curves = folder / "probe/curves/plots/metrics"
    files = {"decay": "decay.tsv", "appearance": "appearance.tsv", "held_out/mAP": "held_out/mAP.tsv"}
    compared = pd.DataFrame({name: pd.read_csv(curves / file, sep="\t").iloc[:, 1] for name, file in files.items()})
    assert compared[["appearance", "decay"]].values.tolist() == [[a, d] for a in (0.5, 1.0) for d in (1.0, 0.1, 0.01)]
    recipe = json.loads((folder / "probe/recipe.json").read_text())
    chosen = recipe["result"]["chosen"]
    assert chosen["held_out/mAP"] == compared["held_out/mAP"].max()
    (row,) = compared.index[(compared[["decay", "appearance"]] == [chosen["decay"], chosen["appearance"]]).all(axis=1)]
    assert compared["held_out/mAP"][row] == chosen["held_out/mAP"]
    assert (recipe["pretrained"]["source"], recipe["licence"]) == ("timm", "cc-by-nc-4.0")
    assert not (curves / "val").exists(), "val chose nothing, and these are not its figures"


def test_the_same_features_give_the_same_bytes(done, tmp_path):
    folder, config, manifest, _, machine = done
    fit_probe(config, manifest, Features.read(folder / "features"), tmp_path / "probe", machine, MULTI_LABEL)
    for name in ("model.safetensors", "recipe.json"):
        assert (tmp_path / "probe" / name).read_bytes() == (folder / "probe" / name).read_bytes()


def test_features_of_another_network_and_a_single_group_are_refused(done, tmp_path):
    folder, config, manifest, _, machine = done
    found = Features.read(folder / "features")
    other = Features(found.videos, found.values, {}, {**found.about, "arch": "tsn"})
    with pytest.raises(UserError, match=r"not those of out. `dvc repro features@out`"):
        fit_probe(config, manifest, other, tmp_path / "out", machine, MULTI_LABEL)
    together = Features(found.videos, found.values, dict.fromkeys(found.videos, "one"), found.about)
    with pytest.raises(UserError, match=r"All 24 train videos are of one group"):
        fit_probe(config, manifest, together, tmp_path / "out", machine, MULTI_LABEL)


def test_fewer_groups_than_parts_make_a_part_each(done, tmp_path, monkeypatch):
    folder, config, manifest, _, machine = done
    found = Features.read(folder / "features")
    of_two = {video: f"person {number % 2}" for number, video in enumerate(found.videos)}
    seen = []
    solve = probe._held_out
    monkeypatch.setattr(probe, "_held_out", lambda k, t, fold, *rest: seen.append(fold) or solve(k, t, fold, *rest))
    grouped = Features(found.videos, found.values, of_two, found.about)
    fit_probe(config, manifest, grouped, tmp_path / "out", machine, MULTI_LABEL)
    people = [of_two[video] for video in manifest.split("train").videos]
    assert set(zip(people, seen[0].tolist(), strict=True)) in (
        {("person 0", 0), ("person 1", 1)}, {("person 0", 1), ("person 1", 0)},
    )  # fmt: skip


def test_the_recipe_tells_other_groups_apart_so_that_folds_and_the_final_model_are_made_anew(done, tmp_path):
    folder, config, manifest, _, machine = done
    found, keys = Features.read(folder / "features"), []
    for count in (8, 9):
        of_some = {video: f"person {number % count}" for number, video in enumerate(found.videos)}
        grouped = Features(found.videos, found.values, of_some, found.about)
        fit_probe(config, manifest, grouped, tmp_path / f"{count}", machine, MULTI_LABEL)
        keys.append(json.loads((tmp_path / f"{count}" / "recipe.json").read_text())["data"])
    assert keys[0] != keys[1]


def test_features_that_are_damaged_are_named(done, tmp_path):
    with pytest.raises(UserError, match="dvc repro features@"):
        Features.read(tmp_path)
