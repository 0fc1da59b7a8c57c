"""The FiftyOne dataset on disk: its documents, their fields, and the numbers in them."""

import base64
import io
import json
import zlib
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import yaml
from imageio_ffmpeg import count_frames_and_secs, get_ffmpeg_exe

from benchmarks.rows import many_videos
from pipeline.core import params, tsv
from pipeline.core.errors import UserError
from pipeline.core.segments import Segment
from pipeline.ui import fiftyone_fields
from pipeline.ui.catalogue import Catalogue
from pipeline.ui.fiftyone_dataset import Export
from pipeline.ui.frame_clock import FrameClock
from tests.support import finished
from tests.support.command import call

ROOT = Path(__file__).parents[2]


def exported(catalogue, tmp_path, top=2, logits=False, clocks=None):
    """(metadata, samples by the name of their file)."""
    count = Export(catalogue, tmp_path / "videos", top, logits, clocks or {}).write(tmp_path / "exported")
    metadata, samples = (json.loads((tmp_path / "exported" / f"{n}.json").read_text()) for n in ("metadata", "samples"))
    assert count == len(samples["samples"])
    return metadata, {sample["filepath"].rpartition("/")[2]: sample for sample in samples["samples"]}


def array(vector):
    assert vector["$binary"]["subType"] == "00"
    return np.load(io.BytesIO(zlib.decompress(base64.b64decode(vector["$binary"]["base64"]))))


def said(labels):
    return [(one["label"], one["confidence"]) for one in labels]


def check_declared(document, fields):
    """Every key of a document is a field of the schema, and so on within."""
    declared = {one["db_field"]: one for one in fields}
    for name, value in document.items():
        if name == "_cls":
            continue
        assert name in declared, name
        kind = declared[name]["embedded_doc_type"]
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, dict) and kind:
                assert one["_cls"] == kind.rpartition(".")[2]
                check_declared(one, declared[name]["fields"])


def test_a_sample_has_the_labels_and_the_highest_scores_of_every_model(catalogue, tmp_path):
    metadata, samples = exported(catalogue, tmp_path)
    assert len(samples) == len(catalogue)
    assert metadata["default_classes"] == list(catalogue.classes)
    for video in (0, 1, 3, 49, 101):
        sample = samples[catalogue.paths[video].as_py().rpartition("/")[2]]
        assert [one["label"] for one in sample["ground_truth"]["classifications"]] == catalogue.names(video)
        for model in catalogue.models:
            scores = catalogue.scores(model, video)
            if scores is None:
                assert f"predictions_{model}" not in sample
                continue
            best = sorted(zip(scores.tolist(), catalogue.classes, strict=True), reverse=True)[:2]
            assert said(sample[f"predictions_{model}"]["classifications"]) == [(name, score) for score, name in best]
        check_declared(sample, metadata["sample_fields"])
    assert samples["Clip_0000000.mp4"]["tags"] == ["train"]
    assert samples["Clip_0000049.mp4"]["tags"] == ["val", "broken"]
    assert len({sample["_id"]["$oid"] for sample in samples.values()}) == len(samples)
    assert all(0 <= sample["_rand"] < 1 for sample in samples.values())


def test_logits_give_the_scores_back(catalogue, tmp_path):
    _, samples = exported(catalogue, tmp_path, logits=True)
    logits = array(samples["Clip_0000001.mp4"]["predictions_m0"]["logits"])
    assert logits.dtype == np.float32
    assert np.allclose(1 / (1 + np.exp(-logits)), catalogue.scores("m0", 1), atol=1e-6)


def test_where_each_video_has_one_label_it_is_one_classification(tmp_path):
    finished.run(tmp_path / "run", single=True)
    catalogue = Catalogue.read(tmp_path / "run", tmp_path / "scratch")
    metadata, samples = exported(catalogue, tmp_path, logits=True)
    sample, video = samples["val0.mp4"], catalogue.videos.to_pylist().index("val0")
    scores = catalogue.scores("tsn", video)
    assert (sample["ground_truth"]["_cls"], sample["ground_truth"]["label"]) == (
        "Classification",
        *catalogue.names(video),
    )
    assert said([sample["predictions_tsn"]]) == [(catalogue.classes[scores.argmax()], float(scores.max()))]
    powers = np.exp(array(sample["predictions_tsn"]["logits"]).astype(float))
    assert np.allclose(powers / powers.sum(), scores, atol=1e-6)
    check_declared(sample, metadata["sample_fields"])


def test_an_ensemble_of_ranks_has_no_logits(catalogue, tmp_path):
    fused = catalogue.models["ensemble"]
    ranks = replace(fused, answers=replace(fused.answers, meta={"mean": "rank"}))
    found = replace(catalogue, models={**catalogue.models, "ensemble": ranks})
    sample = exported(found, tmp_path, logits=True)[1]["Clip_0000001.mp4"]
    assert ("logits" in sample["predictions_ensemble"], "logits" in sample["predictions_m0"]) == (False, True)


def test_segments_of_a_file_are_detections_of_one_sample(catalogue, tmp_path):
    paths = catalogue.paths.to_pylist()
    paths[1] = paths[3] = paths[5] = "long.mp4"
    spans = {1: Segment(0.0, 1.5), 3: Segment(1.5, 2.0)}  # and video 5 is all of it
    found = replace(catalogue, paths=pa.array(paths), spans=spans)
    metadata, samples = exported(found, tmp_path, clocks={"long.mp4": FrameClock(25.0, 4.0)})
    assert len(samples) == len(catalogue) - 2
    sample = samples["long.mp4"]
    names = [(name, [1, 38]) for name in catalogue.names(1)] + [(name, [39, 50]) for name in catalogue.names(3)]
    assert [(one["label"], one["support"]) for one in sample["segments"]["detections"]] == names
    assert len(sample["segments_m0"]["detections"]) == 4
    assert sample["video"] == catalogue.videos[5].as_py()
    assert sample["tags"] == ["val", "test"]
    check_declared(sample, metadata["sample_fields"])
    without = exported(found, tmp_path / "other")[1]["long.mp4"]
    assert "segments" not in without  # nobody knows the rate of its frames


def test_the_frames_of_a_segment_are_those_that_are_shown_in_it():
    rate, seconds = 29.97, 10.0
    clock, times = FrameClock(rate, seconds), [number / 29.97 for number in range(300)]
    for start, end in ((0.0, 1.0), (1.0, 2.5), (3.337, 3.338), (9.9, float("inf"))):
        shown = [number + 1 for number, time in enumerate(times) if start <= time < end]
        expected = (shown[0], shown[-1]) if shown else (clock.support(Segment(start, end))[0],) * 2
        assert clock.support(Segment(start, end)) == expected
    assert clock.support(Segment(20.0, 30.0)) == (300, 300)


def test_the_clock_of_a_file_is_that_of_its_container(clips, tmp_path):
    file = min(clips.glob("*.mp4"))
    frames, seconds = count_frames_and_secs(str(file))
    clock = FrameClock.read(file, get_ffmpeg_exe())
    assert (clock.rate, clock.seconds) == pytest.approx((frames / seconds, seconds), abs=0.05)
    (tmp_path / "no.mp4").write_bytes(b"no video")
    assert FrameClock.read(tmp_path / "no.mp4", get_ffmpeg_exe()) is None


def test_models_that_would_share_a_field_are_refused(catalogue, tmp_path):
    assert fiftyone_fields.model_fields(["a.b", "c-d"]) == {"a.b": "a_b", "c-d": "c_d"}
    clash = replace(catalogue, models={"a.b": SimpleNamespace(), "a-b": SimpleNamespace()})
    with pytest.raises(UserError, match="would both be 'a_b'"):
        Export(clash, tmp_path, 1, False, {}).write(tmp_path / "exported")
    assert not (tmp_path / "exported").exists()


def test_the_command_writes_a_new_folder_and_overwrites_none(run, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text("dataset: {root: videos}\nmachine: {scratch: work}\n")
    call("fiftyone", "new", "--data", run / "data", "--top", 1)
    assert capsys.readouterr().out == "new: 400 samples\n"
    first = json.loads((tmp_path / "new/samples.json").read_text())["samples"][0]
    assert first["filepath"] == str(tmp_path / "videos/part0000/Clip_0000000.mp4")
    with pytest.raises(UserError, match="is there already"):
        call("fiftyone", "new", "--data", run / "data")
    (tmp_path / "params.yaml").write_text("dataset: {root: 's3://bucket/videos'}\nmachine: {scratch: work}\n")
    with pytest.raises(UserError, match="opens files of this machine alone"):
        call("fiftyone", "other", "--data", run / "data")


def test_the_command_reads_the_clocks_of_files_that_have_segments(clips, tmp_path, monkeypatch, caplog):
    many_videos.write(tmp_path / "data", videos=40, classes=3)
    table = pd.read_csv(tmp_path / "data/manifest.tsv", sep="\t", dtype=str).assign(start="", end="")
    file = min(clips.glob("*.mp4")).name
    table.loc[[1, 5], ["path", "start"]] = file, "0.5"
    table.loc[3, ["path", "start"]] = "gone.mp4", "0.5"
    tsv.write(tmp_path / "data/manifest.tsv", table)
    settings = {"dataset": {"root": str(clips)}, "machine": params.read("machine", ROOT / "params.yaml")}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(settings))
    monkeypatch.chdir(tmp_path)
    call("fiftyone", "new")
    samples = json.loads((tmp_path / "new/samples.json").read_text())["samples"]
    [one] = [sample for sample in samples if sample["filepath"] == str(clips / file)]
    clock = FrameClock.read(clips / file, get_ffmpeg_exe())
    assert {tuple(each["support"]) for each in one["segments"]["detections"]} == {clock.support(Segment(0.5))}
    [gone] = [sample for sample in samples if sample["filepath"].endswith("gone.mp4")]
    assert "segments" not in gone
    assert "gone.mp4: its segments are left out: no such file" in caplog.text
