"""A folder of clips and a CSV: what is read, how it is split, and what is said of a wrong line."""

from pathlib import Path

import pytest

from pipeline.core.errors import UserError
from pipeline.core.manifest import SPLITS, DatasetConfig, Manifest, VideoRecord
from pipeline.datasets import folder

RIGHT = "path,labels,split\na.mp4,run;jump,train\nb.mp4,run,val\nc.mp4,jump,test\n"


def config(root: Path, classes: Path | None = None, seed: int = 0, **settings: object) -> DatasetConfig:
    return DatasetConfig(
        format="folder",
        root=str(root),
        annotations=str(root / "labels.csv"),
        after="conf/dataset",
        generated=(),
        classes=None if classes is None else str(classes),
        val_share=0.15,
        test_share=0.15,
        split_seed=seed,
        **settings,
    )


def read(root: Path, csv: str | bytes, classes: Path | None = None, **settings: object) -> Manifest:
    (root / "labels.csv").write_bytes(csv if isinstance(csv, bytes) else csv.encode())
    return folder.read(config(root, classes, **settings))


def refusal(root: Path, csv: str | bytes, classes: Path | None = None, **settings: object) -> str:
    with pytest.raises(UserError) as error:
        read(root, csv, classes, **settings)
    return str(error.value)


def test_a_line_of_the_csv_is_a_video_of_the_manifest(tmp_path: Path):
    manifest = read(tmp_path, RIGHT)  # whether the files are there is not its matter

    assert [VideoRecord(*row) for row in manifest.table.itertuples(index=False)] == [
        VideoRecord("a.mp4", "train", "a.mp4", "run;jump"),
        VideoRecord("b.mp4", "val", "b.mp4", "run"),
        VideoRecord("c.mp4", "test", "c.mp4", "jump"),
    ]
    assert manifest.classes == ("jump", "run")


def test_labels_that_commas_separate_are_not_blamed_on_a_split_column(tmp_path: Path):
    told = refusal(tmp_path, 'path,labels\na.mp4,"run,jump"\nb.mp4,"run,fly"\n')
    assert "2 videos of 2 classes cannot be split so that val has one" in told
    assert "separated by ';' (" in told
    assert "('a.mp4' has 'run,jump')" in told


def test_cells_are_tidied(tmp_path: Path):
    manifest = read(
        tmp_path, "split,labels,path\n train , run ; jump ;; run,./a.mp4\nval,run,b//b.mp4\ntest,run,c.mp4\n"
    )

    assert manifest.table[["video", "split", "labels"]].to_numpy().tolist() == [
        ["a.mp4", "train", "run;jump"],
        ["b/b.mp4", "val", "run"],
        ["c.mp4", "test", "run"],
    ]


def test_quotes_commas_and_other_alphabets_are_read(tmp_path: Path):
    rows = ['"a, ""b"".mp4","to run, fast",train', 'grün/視頻.mp4,"to run, fast",val', 'c.mp4,"to run, fast",test']

    manifest = read(tmp_path, "\n".join(["path,labels,split", *rows]))
    assert manifest.videos == ['a, "b".mp4', "grün/視頻.mp4", "c.mp4"]
    assert manifest.classes == ("to run, fast",)


def test_a_csv_as_spreadsheets_save_it_is_read_alike(tmp_path: Path):
    spreadsheet = b"\xef\xbb\xbf" + RIGHT.replace("\n", "\r\n").encode()

    assert read(tmp_path, spreadsheet).table.equals(read(tmp_path, RIGHT).table)


def test_rows_that_were_emptied_in_a_spreadsheet_are_passed_over(tmp_path: Path):
    assert read(tmp_path, RIGHT + ",,\n , ,\n").videos == ["a.mp4", "b.mp4", "c.mp4"]
    for line in (",run,train", ",,,x"):
        assert "line 5" in refusal(tmp_path, f"{RIGHT}{line}\n")


def test_a_class_list_fixes_the_classes_and_their_order(tmp_path: Path):
    (tmp_path / "classes.txt").write_text("run\njump\n")

    assert read(tmp_path, RIGHT, tmp_path / "classes.txt").classes == ("run", "jump")


def test_a_test_split_may_be_without_labels(tmp_path: Path):
    assert read(tmp_path, RIGHT.replace("c.mp4,jump", "c.mp4,")).targets().tolist() == [[1, 1], [0, 1], [0, 0]]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a.mp4,run,val", "line 5: 'a.mp4' occurs twice, first in {csv}, line 2"),
        ("./a.mp4,run,val", "line 5: 'a.mp4' occurs twice, first in {csv}, line 2"),
        ("x/..,run,val", "line 5: the path 'x/..' leaves the corpus' root"),
        ("../d.mp4,run,val", "line 5: the path '../d.mp4' leaves the corpus' root"),
        ("/d.mp4,run,val", "line 5: the path '/d.mp4' leaves the corpus' root"),
        ("C:\\d.mp4,run,val", "line 5: the path 'C:\\\\d.mp4' leaves the corpus' root"),
        (",run,val", "line 5: the path '' leaves the corpus' root"),
        (f"{'x' * 501},run,val", "line 5: the path"),
        ("d\t.mp4,run,val", "line 5: the path 'd\\t.mp4' has a control character"),
        ("d.mp4,run,valid", "line 5: the split 'valid' is none of train, val, test"),
        ("d.mp4,run,", "line 5: the split '' is none of"),
        ("d.mp4,run", "line 5: more or fewer cells than the header has"),
        ("d.mp4", "line 5: more or fewer cells than the header has"),
        ("d.mp4,run,jump,val", "line 5: more or fewer cells than the header has"),
        ("d.mp4,,train", "line 5: 'd.mp4' has no label"),
        ("d.mp4, ; ,val", "line 5: 'd.mp4' has no label"),
        ("d.mp4,status,train", "line 5: 'status' cannot be a class name"),
        ("d.mp4,run\tfast,train", "line 5: 'run\\tfast' cannot be a class name"),
        ('"d".mp4,run,train', "line 5: no readable CSV"),
        ('d.mp4,"run,train\ne.mp4,run,val', "line 5: no readable CSV"),  # the quote that never ends begins there
    ],
)
def test_a_wrong_line_is_refused_with_file_and_line(tmp_path: Path, line: str, message: str):
    csv = str(tmp_path / "labels.csv")

    assert f"{csv}, {message.format(csv=csv)}" in refusal(tmp_path, f"{RIGHT}{line}\n")


def test_lines_are_counted_over_blank_and_broken_ones(tmp_path: Path):
    csv = 'path,labels,split\n\n"a\nb.mp4",run,train\n'

    assert "labels.csv, line 4: the path 'a\\nb.mp4' has a control character" in refusal(tmp_path, csv)


def test_bytes_that_are_no_utf8_are_refused_with_file_and_line(tmp_path: Path):
    message = refusal(tmp_path, RIGHT.encode() + b"gr\xfcn.mp4,run,train\nlast.mp4,run,train\n")

    assert "labels.csv, line 5" in message
    assert "UTF-8" in message


@pytest.mark.parametrize(
    "header",
    [
        "",
        "path",
        "labels,split",
        "path|labels|split",
        "path,lable",
        "path,labels,labels",
        "path,label,labels",
        "path,Path,labels",
        "a.mp4,run",
    ],
)
def test_a_wrong_header_is_refused(tmp_path: Path, header: str):
    assert "labels.csv, line 1: the header is" in refusal(tmp_path, f"{header}\na.mp4,run,train\n")


def test_a_column_of_one_label_may_be_called_label(tmp_path: Path):
    assert read(tmp_path, RIGHT.replace("labels", "label")).table.equals(read(tmp_path, RIGHT).table)


@pytest.mark.parametrize("mark", ["\t", ";"])
def test_tabs_and_semicolons_may_separate_the_columns(tmp_path: Path, mark: str):
    rows = ["path,label,split", "a.mp4,run,train", "b.mp4,run,val", "c.mp4,run,test"]
    right = read(tmp_path, "\n".join(rows))

    assert read(tmp_path, "\n".join(rows).replace(",", mark)).table.equals(right.table)


def test_labels_between_semicolons_are_quoted_where_these_separate_the_columns(tmp_path: Path):
    manifest = read(tmp_path, 'path;labels;split\na.mp4;"run;jump";train\nb.mp4;run;val\nc.mp4;jump;test\n')
    assert manifest.table["labels"].tolist() == ["run;jump", "run", "jump"]


def test_columns_in_other_letters_are_read_and_others_left_alone_each_with_a_line(tmp_path: Path, caplog):
    caplog.set_level("INFO")
    rows = [
        f"{number},{name}.mp4,30,run,{split}" for number, (name, split) in enumerate(zip("abc", SPLITS, strict=True))
    ]
    manifest = read(tmp_path, "\n".join([",Path, fps,Labels ,split", *rows]))

    assert manifest.videos == ["a.mp4", "b.mp4", "c.mp4"]
    assert [text.partition(": ")[2] for text in caplog.messages[:2]] == [
        "the columns 'Path', 'Labels ' are read as 'path', 'labels'",
        "the columns '', ' fps' are left alone",
    ]


def test_columns_of_other_names_are_set(tmp_path: Path):
    csv = "File,Action,Subject,path,split\na.mp4,run,Zoë,x,train\nb.mp4,run,,x,val\nc.mp4,run, Al  Bo ,x,test\n"
    manifest = read(tmp_path, csv, columns={"path": "file", "labels": "Action", "group": "subject"})

    assert manifest.videos == ["a.mp4", "b.mp4", "c.mp4"]
    assert manifest.groups == {"a.mp4": "Zoë", "c.mp4": "Al Bo"}
    assert "It must have file and labels or label once" in refusal(tmp_path, RIGHT, columns={"path": "file"})
    assert "the header is" in refusal(tmp_path, RIGHT, columns={"group": "subject"})


@pytest.mark.parametrize("csv", ["path,labels,split\n", "path,labels,split\n\n\n"])
def test_a_csv_without_a_video_is_refused(tmp_path: Path, csv: str):
    assert "labels.csv lists no video" in refusal(tmp_path, csv)


def test_a_missing_csv_is_named_with_the_setting(tmp_path: Path):
    with pytest.raises(UserError, match=r"labels\.csv does not exist. Set dataset.annotations"):
        folder.read(config(tmp_path))


def test_a_missing_root_is_named_with_the_setting(tmp_path: Path):
    with pytest.raises(
        UserError, match=r"nowhere is no folder: it moved, or its disk is not mounted. Set dataset.root"
    ):
        folder.read(config(tmp_path / "nowhere"))


def test_a_label_outside_the_class_list_is_refused_with_file_and_line(tmp_path: Path):
    (tmp_path / "classes.txt").write_text("jump\n")

    assert "labels.csv, line 2: the label 'run' is not in" in refusal(tmp_path, RIGHT, tmp_path / "classes.txt")


def test_a_missing_class_list_is_named_with_the_setting(tmp_path: Path):
    assert "no.txt does not exist. Set dataset.classes" in refusal(tmp_path, RIGHT, tmp_path / "no.txt")


def test_a_class_list_with_a_wrong_name_is_refused_with_file_and_line(tmp_path: Path):
    (tmp_path / "classes.txt").write_text("jump\n\nrun\n")

    assert "classes.txt, line 2: '' cannot be a class name" in refusal(tmp_path, RIGHT, tmp_path / "classes.txt")


def test_a_class_list_that_is_no_utf8_is_refused_by_name(tmp_path: Path):
    (tmp_path / "classes.txt").write_bytes(b"gr\xfcn\n")

    assert "classes.txt" in refusal(tmp_path, RIGHT, tmp_path / "classes.txt")


@pytest.mark.parametrize(
    ("csv", "message"),
    [
        (RIGHT + "d.mp4,swim,val\n", "no train video is labelled 'swim'"),
        (RIGHT.replace("test", "val"), "no video in the split 'test'"),
        (RIGHT + "d.mp4,,test\n", "1 of 2 test videos have no label, e.g. 'd.mp4'"),
    ],
)
def test_what_is_wrong_with_the_whole_corpus_is_said_of_the_file(tmp_path: Path, csv: str, message: str):
    refused = refusal(tmp_path, csv)

    assert refused.startswith(str(tmp_path / "labels.csv"))
    assert message in refused


def test_one_more_video_changes_its_own_row_only(tmp_path: Path):
    before = read(tmp_path, RIGHT).table
    (tmp_path / "d.mp4").write_bytes(b"video")

    after = read(tmp_path, RIGHT.replace("b.mp4", "d.mp4,run,val\nb.mp4")).table
    assert after["video"].tolist() == ["a.mp4", "d.mp4", "b.mp4", "c.mp4"]
    assert after.drop(1).to_numpy().tolist() == before.to_numpy().tolist()


def unsplit(videos: int) -> str:
    return "path,labels\n" + "".join(f"{number}.mp4,{('run', 'jump')[number % 2]}\n" for number in range(videos))


def test_a_csv_without_splits_is_split_the_same_way_every_time(tmp_path: Path):
    first, again = read(tmp_path, unsplit(40)), read(tmp_path, unsplit(40))

    assert first.table.equals(again.table)
    assert set(first.table["split"]) == set(SPLITS)


def test_a_csv_without_splits_needs_a_label_in_every_line(tmp_path: Path):
    assert "labels.csv, line 42: 'x.mp4' has no label" in refusal(tmp_path, unsplit(40) + "x.mp4,\n")


def test_rows_of_one_file_with_start_and_end_are_videos_each(tmp_path: Path):
    lines = ("a.mp4,run,train,,", "b.mp4,run,train,1.5,00:00:03", "b.mp4,run,val,3,", "c.mp4,run,test,,2")
    manifest = read(tmp_path, "\n".join(["path,labels,split,start,end", *lines]))

    assert manifest.videos == ["a.mp4", "b.mp4#1.5-3", "b.mp4#3-", "c.mp4#0-2"]
    assert manifest.table[["path", "start", "end"]].to_numpy().tolist() == [
        ["a.mp4", "", ""],
        ["b.mp4", "1.5", "3.0"],
        ["b.mp4", "3.0", ""],
        ["c.mp4", "0.0", "2.0"],
    ]


@pytest.mark.parametrize(
    ("times", "message"),
    [
        ("3,2", "line 2: the end 2 s does not come after the start 3 s"),
        ("-1,2", "line 2: the start -1 s is no time in a file"),
        ("x,2", "line 2: 'x' is no time"),
        ("1,1:75", "line 2: '1:75' is no time"),
    ],
)
def test_a_wrong_segment_is_refused_with_file_and_line(tmp_path: Path, times: str, message: str):
    assert f"labels.csv, {message}" in refusal(tmp_path, f"path,labels,start,end\na.mp4,run,{times}\n")


def test_a_segment_that_occurs_twice_is_refused(tmp_path: Path):
    told = refusal(tmp_path, "path,labels,start,end\na.mp4,run,1,2\na.mp4,jump,00:01,2.0\n")
    assert "line 3: 'a.mp4#1-2' occurs twice, first in" in told


def test_the_split_that_is_made_tears_no_file_with_segments_apart(tmp_path: Path):
    lines = [f"{number // 4}.mp4,run,{number % 4},{number % 4 + 1}" for number in range(80)]
    manifest = read(tmp_path, "\n".join(["path,labels,start,end", *lines, "0.mp4,run,,"]))

    assert (manifest.table.groupby("path")["split"].nunique() == 1).all()
    assert manifest.groups["0.mp4#1-2"] == manifest.groups["0.mp4"] == "0.mp4"


def test_splits_that_tear_a_file_with_segments_apart_are_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    read(tmp_path, "path,labels,split,start,end\na.mp4,x,train,0,1\na.mp4,x,val,1,2\nb.mp4,x,test,0,1\n")

    assert "the splits tear 1 of 2 groups apart, so scores on val and test flatter: 'a.mp4' (train, val)" in caplog.text


def test_a_mark_says_that_nobody_knows_of_a_label(tmp_path: Path):
    csv = "path,labels,split\na.mp4,run;jump,train\nb.mp4,run; ?jump,val\nc.mp4,?run,test\nd.mp4,,test\n"
    manifest = read(tmp_path, csv, unlabelled="negative")
    assert manifest.table["labels"].tolist() == ["run;jump", "run;?jump", "?run", ";"]
    assert manifest.targets().tolist() == [[1, 1], [-1, 1], [0, -1], [0, 0]]


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ("run;?run", "labels.csv, line 3: 'run' is a label, and one that is not known (?). Drop one."),
        ("run;?", "labels.csv, line 3: '' cannot be a class name"),
        ("run;??jump", "labels.csv, line 3: '?jump' cannot be a class name: '?' marks a label"),
        ("run;?dive", "no train video is labelled 'dive'"),
    ],
)
def test_a_mark_in_a_wrong_place_is_said(tmp_path: Path, labels: str, said: str):
    assert said in refusal(tmp_path, RIGHT.replace("b.mp4,run,", f"b.mp4,{labels},"))
