"""`pipeline init`: what it writes for a folder of real clips, what it says, and that a failure changes nothing."""

import shutil
from pathlib import Path

import pytest
import yaml

from pipeline.cli import forecast
from pipeline.cli.dataset_file import quoted
from pipeline.core import registry
from pipeline.core.errors import UserError
from pipeline.core.manifest import DatasetConfig, Manifest
from pipeline.core.params import build
from tests.support import corpus
from tests.support.command import call

ROOT = Path(__file__).parents[2]
PEOPLE, TAKES = 5, 4


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A project where nothing has been run, beside which the clips lie."""
    shutil.copytree(ROOT / "conf", tmp_path / "project/conf")
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project"


@pytest.fixture
def videos(tmp_path, clips) -> Path:
    """Two classes of five people, in a folder whose name has a blank and an umlaut."""
    root = tmp_path / "Meine Übungen"
    for name in ("wave left", "jump"):
        (root / name).mkdir(parents=True)
        for number in range(PEOPLE * TAKES):
            corpus.take(clips / "h264.mp4", root / name / f"subject{number % PEOPLE}_{number}.mp4")
    return root


def read() -> Manifest:
    config = build(DatasetConfig, yaml.safe_load(Path("params.yaml").read_text())["dataset"], "dataset")
    return registry.find("datasets", config.format).read(config)


def state(folder: Path) -> dict[str, bytes]:
    return {str(file): file.read_bytes() for file in folder.rglob("*") if file.is_file() and "work" not in file.parts}


def test_class_folders_become_settings_and_figures(folder, videos, capsys):
    assert not call("init", videos)

    mine = (folder / "conf/dataset/mine.yaml").read_text()
    bare = [line.split(":")[0].strip() for line in mine.splitlines()[7:] if "#" not in line]
    assert bare == ["test_share", "", "extract"]
    manifest = read()
    assert manifest.classes == ("jump", "wave left")
    assert len(manifest) == 2 * PEOPLE * TAKES
    assert set(manifest.groups.values()) == {f"subject{person}" for person in range(PEOPLE)}
    config = (folder / "conf/config.yaml").read_text()
    assert "  - dataset: mine # " in config
    assert len(config.splitlines()) == len((ROOT / "conf/config.yaml").read_text().splitlines())
    said = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert said["classes"] == "2, of 20 videos each"
    assert said["groups"].startswith("5, which")
    assert said["task"].startswith("single_label")
    assert said["video"].startswith("about 0.011 hours (1.0 s a clip, by 10 of them)")
    assert said["next"] == "dvc repro"


def test_copies_are_counted_and_kept_together(folder, videos, capsys):
    for number in range(3):
        (videos / "jump" / f"subject0_again{number}.mp4").hardlink_to(videos / "jump/subject1_1.mp4")
    shutil.copy(videos / "jump/subject2_2.mp4", videos / "wave left/subject3_twice.mp4")
    assert not call("init", videos)
    said = capsys.readouterr().out
    assert "groups     3, which the split does not tear apart\n" in said  # 0 with 1, and 2 with 3
    assert "copies     6 videos have the same bytes as another one, which the split does not tear apart" in said


def test_a_warning_of_the_reader_is_said_once(folder, videos, caplog):
    (videos / "Jump").mkdir()
    for clip in (videos / "jump").iterdir():
        corpus.take(clip, videos / "Jump" / clip.name)
    call("init", videos)
    assert [text.partition(": ")[2] for text in caplog.messages] == [
        (
            "the labels 'Jump' and 'jump' differ only by case, Unicode form or blanks, and are classes of their own. "
            "If they mean the same, write them alike."
        )
    ]


def test_a_table_is_read_with_its_own_names(folder, clips, tmp_path, capsys):
    shutil.copytree(clips, tmp_path / "clips")
    names = [*corpus.CLIPS, corpus.ROTATED]
    lines = [f"{name},{'a;b' if n % 2 else 'a'},{('train', 'val', 'test')[n % 3]},p{n}" for n, name in enumerate(names)]
    (tmp_path / "clips.csv").write_text(
        "\n".join(["File,Tags,Split,subject", *lines, "gone.mp4,a,train,p0", "0.mp4,a,train,p0"])
    )
    (tmp_path / "clips/0.mp4").touch()
    with pytest.raises(UserError, match="pipeline params"):
        call("check")
    call("init", tmp_path / "clips", "--annotations", "../clips.csv")

    manifest = read()
    assert manifest.groups["h264.mp4"] == "p0"
    out = capsys.readouterr().out
    assert "multi_label" in out
    assert "warning    1 file of 0 bytes: 0.mp4." in out
    assert "warning    With 4 val videos good models are told from bad ones by chance." in out
    assert "warning    ensemble.folds: 4 val videos cannot be cut into 5 folds" in out
    assert "warning    models.tsn_lite0.train.batch: 8 is more than the 5 train videos" in out


def test_segments_are_counted_and_measured_as_such(folder, clips, tmp_path, capsys):
    root = tmp_path / "long"
    root.mkdir()
    lines = []
    for n in range(12):
        corpus.take(clips / "h264.mp4", root / f"{n}.mp4")
        lines += [f"{n}.mp4,{'ab'[part]},{part * 0.5},{part * 0.5 + 0.5}" for part in range(2)]
    (root / "labels.csv").write_text("\n".join(["path,label,start,end", *lines]))
    assert not call("init", root)

    said = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert said["segments"] == "24 of these, of 12 files (start and end in seconds)"
    assert said["groups"].startswith("12, which the split does not tear apart")
    assert said["video"].startswith("about 0.0033 hours (0.5 s a clip, by 10 of them)")
    assert read().videos[:2] == ["0.mp4#0-0.5", "0.mp4#0.5-1"]


@pytest.mark.parametrize("break_it", ["labels", "config", "settings", "files"])
def test_where_something_is_wrong_nothing_is_written(folder, videos, break_it):
    annotations = videos / "labels.csv"
    annotations.write_text(
        "path,label\njump/subject0_0.mp4,run\n" if break_it == "labels" else "path,label\nx.mp4,run\n"
    )
    if break_it == "files":
        annotations.write_text("path,label\n" + "".join(f"{n}.mp4,run\n" for n in range(20)))
    if break_it == "config":
        annotations.unlink()
        config = folder / "conf/config.yaml"
        config.write_text(config.read_text().replace("  - dataset: demo", "  - /dataset: demo"))
    if break_it == "settings":
        annotations.unlink()
        config = folder / "conf/config.yaml"
        config.write_text(config.read_text().replace("protocol: multiscale", "protocol: multi"))
    before = state(folder)
    with pytest.raises(UserError):
        call("init", videos, *(["--annotations", annotations] if annotations.exists() else []))
    assert state(folder) == before


def test_a_file_that_is_there_is_replaced_by_force_alone(folder, videos):
    call("init", videos)
    (folder / "conf/dataset/mine.yaml").write_text("mine")
    with pytest.raises(UserError, match="--force replaces it"):
        call("init", videos)
    assert (folder / "conf/dataset/mine.yaml").read_text() == "mine"
    call("init", videos, "--force")
    assert "class_folders" in (folder / "conf/dataset/mine.yaml").read_text()


def test_a_folder_that_holds_the_project_is_refused(folder, videos):
    for around in (Path(), Path("..")):
        with pytest.raises(UserError, match="holds this project and what it writes"):
            call("init", around)


def test_a_folder_inside_the_project_is_named_from_there(folder, videos):
    shutil.copytree(videos, folder / "clips")
    call("init", "clips")
    assert "  root: 'clips' #" in (folder / "conf/dataset/mine.yaml").read_text()


def test_the_set_for_small_corpora_is_chosen_where_there_is_one(folder, videos):
    shutil.copy(folder / "conf/model/tsn_demo.yaml", folder / "conf/model/small.yaml")
    call("init", videos)
    assert "  - model: small" in (folder / "conf/config.yaml").read_text()


@pytest.mark.parametrize("text", ["it's", "a: b # c", "${x}", "back\\slash", "grün 視頻", "([^/]*_g\\d+)_c"])
def test_a_quoted_text_comes_back(text):
    from omegaconf import OmegaConf

    assert OmegaConf.create(f"a: {quoted(text)}").a == text


def test_training_is_forecast_from_rates(monkeypatch):
    monkeypatch.setattr(forecast, "TRAINED_CLIPS_A_SECOND", {"a": 2.0})
    models = {name: {"train": {"epochs": 6, "batch": 4}} for name in ("a", "b")}
    assert forecast.training_minutes(models, 100) == {"a": 5.0, "b": None}
    models["a"]["train"]["least_steps"] = 300  # of 25 an epoch
    assert forecast.training_minutes(models, 100)["a"] == 10.0


def test_one_model_of_the_set_keeps_the_frames_of_all(folder, videos):
    """The size of the frames is the corpus', so that `model=...` extracts nothing anew."""
    call("init", videos)
    written = yaml.safe_load((folder / "conf/dataset/mine.yaml").read_text())
    assert written["extract"] == {"short_side": 128, "shards": 4}
    call("params", "model=tsm_lite0")
    assert yaml.safe_load((folder / "params.yaml").read_text())["extract"]["short_side"] == 128


def test_a_path_that_is_not_there_is_answered_first_and_with_a_near_name(folder, videos):
    call("init", videos)
    with pytest.raises(UserError, match=rf"There is no folder .*. Did you mean '{videos.name}'\?"):
        call("init", videos.parent / f"{videos.name}s")


def test_a_folder_without_videos_is_told_what_was_looked_for(folder, tmp_path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes/a.txt").write_text("no video")
    with pytest.raises(
        UserError, match=r"notes has no video and no list of videos \(looked for files that end in .mp4, "
    ):
        call("init", tmp_path / "notes")


@pytest.mark.parametrize("deep", [False, True])
def test_the_folder_of_one_class_is_answered_with_the_one_above(folder, videos, deep):
    if deep:
        (videos / "jump/day 1").mkdir()
        for clip in (videos / "jump").glob("*.mp4"):
            clip.rename(clip.parent / "day 1" / clip.name)
    before = state(folder)
    said = "there is one class only, 'day 1'. Did you mean" if deep else "Where 'jump' is a class, give"
    with pytest.raises(UserError, match=f"{said} the folder above, {videos}"):
        call("init", videos / "jump")
    assert state(folder) == before


def test_files_with_other_endings_are_told_once(folder, videos, caplog):
    for name in ("a.MPG4", "Thumbs.db", "x.DAT", "y.DAT"):
        shutil.copy(videos / "jump/subject0_0.mp4", videos / "jump" / name)
    call("init", videos)
    told = [text for text in caplog.messages if "left out" in text]
    assert told == [f"{videos}: left out, as by their endings they are no videos: 2 .DAT, 1 .db"]
    assert "jump/a.MPG4" in read().videos
