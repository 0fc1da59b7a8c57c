"""The page as a whole: well-formed, escaped, repeatable, and honest about what it leaves out."""

import html
import json
import re
import shutil
from urllib.parse import unquote

import pandas as pd
import pytest

from pipeline.core import checksums, frame_index, tsv
from pipeline.core.errors import UserError
from pipeline.predictions.table import PredictionTable
from pipeline.report import gallery
from tests.support import finished
from tests.support.html_page import DASH, EVIL, Reader, check, page


def test_the_page_is_well_formed_and_stands_alone(done):
    check(done[2])


@pytest.mark.parametrize(
    "wrong",
    ['<img src="https://a.b/c">', "<p>", "</section>", '<p id="models"></p>', "<script></script>", '<p onclick="x">'],
)
def test_the_check_itself_can_fail(done, wrong):
    with pytest.raises(AssertionError):
        check(done[2].replace("</main>", f"{wrong}</main>"))


def test_names_are_shown_as_they_are_and_never_run(done):
    text = done[2]
    read = Reader(text)
    assert "onerror" in read.text
    assert EVIL in read.text
    assert "</script>&test" in read.text
    assert "<img src=x" not in text
    assert "49" not in re.findall(r"&#34;&#39;&amp;(.{2})", text)


def test_same_inputs_same_bytes_in_another_folder(done, tmp_path):
    assert page(done[0], tmp_path / "elsewhere") == done[2]
    for file in done[1].rglob("*.csv"):
        assert file.read_bytes() == (tmp_path / "elsewhere" / file.relative_to(done[1])).read_bytes()


def test_headline_metrics_are_those_of_the_ensemble(done):
    sources, _, text = done
    rows = pd.read_csv(sources.ensemble / "variants.csv")
    used = rows[rows["used"]].iloc[0]
    assert f"<dd>{used['test']:.2f}</dd>" in text
    assert f"{used['test_low']:.2f} to {used['test_high']:.2f}" in text
    found = json.loads(sources.metrics.read_text())
    low, high = (found["interval"][f"tsn_test_dense_{end}"] for end in ("low", "high"))
    assert f"<td>{found['tsn']['test_dense']:.2f}<small>{low:.1f} to {high:.1f}</small></td>" in text


def test_the_headline_names_what_was_set(tmp_path):
    """All of it, and the first ones at a glance."""
    told = [f"models.tsn.train.epochs={number}" for number in range(6)] + [f"models.tsn.arch='{EVIL}'"]
    sources = finished.run(tmp_path / "some", overrides=told)
    text = page(sources, tmp_path / "page")
    check(text)
    head = Reader(text[text.index("<header>") : text.index("<nav")]).text
    assert "models.tsn.train.epochs=4, and 2 more." in " ".join(head.split())
    assert head.count("models.tsn.train.epochs=") == 11
    assert EVIL in head
    for number, (overrides, said) in enumerate({(): "All settings are those of conf/.", None: "not known"}.items()):
        sources.overrides.write_text(json.dumps(overrides))
        text = page(sources, tmp_path / f"page {number}")
        check(text)
        assert said in text
        assert "models.tsn.train.epochs=" not in text


def test_what_is_listed_is_whole_beside_the_page(done):
    sources, out, _ = done
    assert len(pd.read_csv(out / "classes.csv")) == 10
    assert {file.stem for file in (out / "reliability").iterdir()} == {"ensemble", "tsn", "tin"}
    scores = PredictionTable.read(sources.ensemble / "test.parquet")
    assert pd.read_csv(out / "reliability/ensemble.csv")["forecasts"].sum() == scores.probabilities.size


def test_every_file_beside_the_page_is_linked_and_every_link_is_one(done):
    _, out, text = done
    linked = [unquote(link) for link in Reader(text).links if link.startswith("./") and link.endswith(".csv")]
    files = [f"./{file.relative_to(out)}" for file in out.rglob("*") if file.is_file() and file.name != "index.html"]
    assert sorted(linked) == sorted(files)


def test_broken_videos_are_told_in_ffmpegs_words(done):
    assert "moov <atom> not found" in Reader(done[2]).text


def test_without_test_labels_val_is_judged_and_the_page_says_so(tmp_path):
    sources = finished.run(tmp_path, list("abcdefghij"), labelled=False, weights="fitted", videos=30)
    read = check(page(sources, tmp_path / "report"))
    assert "since nobody labelled test" in read.text
    used = pd.read_csv(sources.ensemble / "variants.csv").query("used").iloc[0]
    terms = read.tables[""][0]
    assert f"{used['val']:.2f}" != f"{used['val_fitted']:.2f}"
    assert terms[0][:2] == ["Sample mAP, cross-fitted", f"{used['val']:.2f}"]
    assert f"clips: {used['val']:.2f} mAP on val" in read.text
    assert terms[1][0] == "Gain over tin , cross-fitted"
    assert all(term[-1].endswith(", fitted to these videos") for term in terms[2:])
    assert read.text.count("fitted to these same videos") == 5, "classes, precision, calibration, confusion, gallery"
    assert not re.search(r"\bnan\b", read.text), "what is not known is a dash"


def test_weights_that_nobody_fitted_need_no_caveat_on_val(tmp_path):
    sources = finished.run(tmp_path, labelled=False, weights="uniform")
    read = check(page(sources, tmp_path / "report"))
    assert "since nobody labelled test:" in read.text
    assert [term[0] for term in read.tables[""][0][:2]] == ["Sample mAP", "Gain over tin"]
    assert "fitted to these" not in read.text


def test_one_model_of_one_class_more_than_its_labels(tmp_path):
    sources = finished.run(tmp_path, classes=("a", "b"), members=("only",), videos=2)
    read = check(page(sources, tmp_path / "report"))
    assert "1 model, 2 classes" in read.text


def test_the_title_names_the_corpus(tmp_path):
    sources = finished.run(tmp_path, resamples=2)
    text = page(sources, tmp_path / "report", corpus="<my clips>")
    assert "<title>&lt;my clips&gt;: " in text
    assert "Report of the run on &lt;my clips&gt;" in text


@pytest.mark.parametrize(("count", "asked"), [(9, False), (10, True)])
def test_of_few_classes_there_is_no_tail(tmp_path, count, asked):
    sources = finished.run(tmp_path, list("abcdefghij"[:count]), resamples=2)
    read = check(page(sources, tmp_path / "report"))
    assert ("classes" in read.tables) == asked
    assert ("#classes" in read.links) == asked
    assert len(pd.read_csv(tmp_path / "report" / "classes.csv")) == count


def test_a_member_that_was_not_trained_here_has_no_recipe_and_no_curve(tmp_path):
    sources = finished.run(tmp_path)
    shutil.rmtree(sources.models)
    read = check(page(sources, tmp_path / "report"))
    assert "there are no curves" in read.text
    assert read.text.count("scores from elsewhere") == 2


def test_shares_of_ranks_have_no_calibration(tmp_path):
    sources = finished.run(tmp_path, mean="rank")
    text = page(sources, tmp_path / "report")
    read = check(text)
    assert "its scores are shares of ranks" in read.text
    assert read.tables["calibration"][0][-1] == ["ensemble", DASH, DASH]
    assert len(read.tables["calibration"]) == 1, "no bins of the ensemble"
    assert 'class="line fused"' not in text[text.index('id="calibration"') : text.index('id="confusion"')]
    assert (tmp_path / "report/reliability/ensemble.csv").read_text() == "predicted,observed,forecasts\n"


def test_weights_of_each_class_are_said(tmp_path):
    sources = finished.run(tmp_path, weights="per_class")
    text = check(page(sources, tmp_path / "report")).text
    assert "its share of the fused score, the mean over the classes" in text


def test_a_video_without_frames_keeps_its_place_in_the_gallery(tmp_path):
    sources = finished.run(tmp_path)
    for name, columns in (
        (sources.frames, frame_index.COLUMNS),
        (sources.lmdb / frame_index.FILE, frame_index.PACKED_COLUMNS),
    ):
        tsv.write(name, pd.read_csv(name, sep="\t", dtype=str, keep_default_na=False).iloc[:0][list(columns)])
        checksums.seal(name.parent)
    text = page(sources, tmp_path / "report")
    check(text)
    assert text.count('<p class="blank">No frames</p>') == 5, "all videos of test but the broken one"


def test_many_classes_and_videos_are_capped_and_it_is_said(tmp_path):
    classes = [f"class {n:03d}" for n in range(60)]
    sources = finished.run(tmp_path, classes=classes, videos=150, resamples=2)
    text = page(sources, tmp_path / "report")
    read = check(text)
    assert "The 20 worst and the 20 best of 60 classes" in read.text
    assert "The 24 most frequent of 60 classes" in read.text
    assert 12 < text.count('class="exhibit"') <= 3 * gallery.EACH + gallery.OTHERS
    assert len(text) < 1_000_000


@pytest.mark.parametrize(
    "gone", ["metrics.json", "ensemble/variants.csv", "ensemble/members.csv", "stats", "broken.tsv"]
)
def test_a_missing_out_is_named_and_an_older_page_stays(tmp_path, gone):
    sources = finished.run(tmp_path)
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "old").touch()
    shutil.rmtree(tmp_path / gone) if gone == "stats" else (tmp_path / gone).unlink()
    with pytest.raises(UserError, match=f"{gone}.* does not exist. `dvc repro"):
        page(sources, tmp_path / "report")
    assert [file.name for file in (tmp_path / "report").iterdir()] == ["old"]


def test_predictions_of_another_corpus_are_refused(tmp_path):
    one, other = finished.run(tmp_path / "a"), finished.run(tmp_path / "b", prefix="x")
    shutil.copy(other.ensemble / "test.parquet", one.ensemble / "test.parquet")
    checksums.seal(one.ensemble)
    with pytest.raises(UserError, match=r"test\.parquet holds other videos or classes"):
        page(one, tmp_path / "report")


def test_the_files_of_videos_are_listed_in_the_order_of_the_page_whatever_the_seed_of_hashes(done):
    told = json.loads(re.search(r'id="page-data">(.*?)</script>', done[2])[1])
    cards = [html.unescape(video) for video in re.findall(r'data-video="([^"]*)"', done[2])]
    assert list(told["files"])[: len(cards)] == cards
    assert told["base"] == "file:///corpora/clips/"
    assert not set(told["strips"]) & set(cards), "the frames of the gallery stand there alone"
    assert set(told["files"]) == set(told["strips"]) | set(cards)
