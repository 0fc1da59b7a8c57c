"""What is named as changed between two runs."""

from contextlib import ExitStack
from copy import deepcopy

from pipeline.comparison import changes
from pipeline.comparison.run import find
from tests.comparison.conftest import SETTINGS


def between(one, other) -> list[str]:
    with ExitStack() as stack:
        return list(map(str, changes.between(find(str(one), stack), find(str(other), stack))))


def edited(**train) -> dict:
    settings = deepcopy(SETTINGS)
    settings["models"]["net"]["train"] |= train
    return settings


def test_one_setting_is_named_with_both_values(made):
    assert between(made("a", "r" * 8), made("b", "r" * 8, edited(lr=0.01))) == ["models.net.train.lr: 0.1 -> 0.01"]


def test_lists_and_texts_are_shown_as_json(made):
    b = edited(sides=[64], lr="auto")
    assert between(made("a", "r" * 8), made("b", "r" * 8, b)) == [
        'models.net.train.lr: 0.1 -> "auto"',
        "models.net.train.sides: [64, 80] -> [64]",
    ]


def test_a_section_that_one_lacks_is_one_line(made):
    more = deepcopy(SETTINGS)
    more["models"]["other"] = deepcopy(more["models"]["net"])
    assert between(made("a", "r" * 8), made("b", "r" * 8, more)) == ["models.other: (none) -> (there)"]
    assert between(made("b", "r" * 8, more), made("a", "r" * 8)) == ["models.other: (there) -> (none)"]


def test_code_is_named_by_its_file(made):
    a, b = made("a", "r" * 8), made("b", "r" * 8)
    lock = (b / "dvc.lock").read_text().replace("a" * 32, "b" * 32)
    (b / "dvc.lock").write_text(lock)
    assert between(a, b) == ["pipeline/core: aaaaaaa -> bbbbbbb"]


def test_code_of_the_checks_alone_does_not_count(made):
    a, b = made("a", "r" * 8), made("b", "r" * 8)
    (b / "dvc.lock").write_text((b / "dvc.lock").read_text().replace("train:", "check:").replace("a" * 32, "b" * 32))
    assert between(a, b) == []


def test_videos_are_counted_by_what_happened_to_them(made):
    a, b = made("a", "r" * 8), made("b", "r" * 8)
    text = (b / "data/manifest.tsv").read_text()
    text = text.replace("0.mp4\ttest\t0.mp4\trun\t1-a", "0.mp4\tval\t0.mp4\tjump\t2-b").replace("7.mp4", "new.mp4")
    (b / "data/manifest.tsv").write_text(text)
    assert between(a, b) == [
        "1 new (new.mp4)",
        "1 gone (7.mp4)",
        "1 in another split (0.mp4)",
        "1 with other labels (0.mp4)",
        "1 replaced (0.mp4)",
    ]


def test_a_title_is_as_short_as_it_can_be_told_apart():
    change = [changes.Change("settings", name, "1", "2") for name in ("models.a.train.lr", "models.b.train.lr", "x.y")]
    assert changes.title(change) == "a.train.lr 1 -> 2, b.train.lr 1 -> 2, x.y 1 -> 2"
    assert changes.title([*change, change[0]]) == "a.train.lr 1 -> 2, b.train.lr 1 -> 2, x.y 1 -> 2, and 1 more"
    assert changes.title([]) == "nothing was changed"
