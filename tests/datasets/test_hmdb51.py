"""HMDB51 as it is published. No public copy of its lists was found, so rows are made up; the label map of mmaction2 has
51 names in the order of the alphabet."""

from pathlib import Path

import pytest

from tests.support.published import read, refusal, rows


def films(action: str, first: int, last: int, flag: int) -> str:
    return "".join(
        f"film_{n}_{action}_{part}_cm_np1_fr_med_{part_number}.avi {flag} \n"
        for n in range(first, last)
        for part_number, part in enumerate("uf")
    )


LISTS = {
    "clap_test_split1.txt": "#20_Rhythm_clap_u_nm_np1_fr_goo_0.avi 1\n" + films("clap", 0, 10, 1)
    + "x_f_cm_np1_le_bad_2.avi 0 \n(Rad)Turn!_&_[b]_clap_f_cm_np1_le_med_0.avi 2\n",
    "brush_hair_test_split1.txt": films("brush_hair", 0, 10, 1) + films("brush_hair", 10, 11, 2),
    "clap_test_split2.txt": films("clap", 0, 10, 1) + films("clap", 20, 22, 2),
    "brush_hair_test_split2.txt": films("brush_hair", 1, 11, 1) + films("brush_hair", 0, 1, 2),
}  # fmt: skip


def test_flags_say_the_split_and_files_the_class(tmp_path: Path, caplog):
    caplog.set_level("INFO")
    manifest = read(tmp_path, "hmdb51", LISTS)
    assert manifest.classes == ("brush_hair", "clap")
    assert [row for row in rows(manifest) if row[1] == "test"] == [
        ["brush_hair/film_10_brush_hair_u_cm_np1_fr_med_0.avi", "test", "brush_hair"],
        ["brush_hair/film_10_brush_hair_f_cm_np1_fr_med_1.avi", "test", "brush_hair"],
        ["clap/(Rad)Turn!_&_[b]_clap_f_cm_np1_le_med_0.avi", "test", "clap"],
    ]
    assert "clap/#20_Rhythm_clap_u_nm_np1_fr_goo_0.avi" in manifest.videos
    assert not any("x_f_cm" in video for video in manifest.videos)
    assert "HMDB51: 1 video in neither" in caplog.messages


@pytest.mark.parametrize("seed", range(5))
def test_val_is_taken_from_train_by_whole_films(tmp_path: Path, seed: int):
    table = read(tmp_path, "hmdb51", LISTS, split_seed=seed).table
    of_film = table.groupby(table["video"].str.extract(r"/(film_\d+)_")[0])["split"]
    assert (of_film.nunique() == 1).all()
    assert table["split"].value_counts().to_dict() == {"train": 33, "val": 8, "test": 3}


def test_a_setting_says_which_split_is_read(tmp_path: Path):
    manifest = read(tmp_path, "hmdb51", LISTS, split_number=2)
    assert [row[0] for row in rows(manifest) if row[1] == "test"][:2] == [
        "brush_hair/film_0_brush_hair_u_cm_np1_fr_med_0.avi",
        "brush_hair/film_0_brush_hair_f_cm_np1_fr_med_1.avi",
    ]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"clap_test_split1.txt": None}, "lists has no clap_test_split1.txt"),
        (dict.fromkeys(LISTS), "lists has no <class>_test_split1.txt"),
        ({"clap_test_split1.txt": ""}, "clap_test_split1.txt lists no video"),
        ({"clap_test_split1.txt": "a.avi 1\nb.avi 3\n"}, "split1.txt, line 2: 'b.avi 3' is no `clip.avi flag`"),
        ({"clap_test_split1.txt": "a.avi\n"}, "clap_test_split1.txt, line 1: 'a.avi' is no `clip.avi flag`"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_file_and_line(tmp_path: Path, changed: dict[str, str | None], said: str):
    files = {name: text for name, text in {**LISTS, **changed}.items() if text is not None}
    assert said in refusal(tmp_path, "hmdb51", files)
