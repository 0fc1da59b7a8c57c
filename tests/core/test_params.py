"""Settings become dataclasses, and whatever is wrong with one is said with its full name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest

from pipeline.core import params
from pipeline.core.errors import UserError


@dataclass(frozen=True)
class Optim:
    lr: float
    momentum: float = 0.9

    def __post_init__(self) -> None:
        if self.lr <= 0:
            raise ValueError("lr must be positive")


@dataclass(frozen=True)
class Train:
    epochs: int
    kind: Literal["step", "cosine"]
    flip: bool
    optim: Optim
    sides: tuple[int, ...]
    mean: tuple[float, float]
    seed: int | None
    options: dict[str, Any]


def settings(**changed: Any) -> dict[str, Any]:
    """Complete settings of Train, as YAML gives them, with some changed."""
    right = dict(
        epochs=3, kind="step", flip=True, optim={"lr": 0.1}, sides=[8, 9], mean=[0.5, 0.4], seed=None, options={"a": 1}
    )
    return right | changed


def build(**changed: Any) -> Train:
    return params.build(Train, settings(**changed), where="params.yaml: train")


def refusal(**changed: Any) -> str:
    with pytest.raises(UserError) as error:
        build(**changed)
    return str(error.value)


def test_settings_become_fields():
    assert build() == Train(3, "step", True, Optim(0.1, 0.9), (8, 9), (0.5, 0.4), None, {"a": 1})


def test_a_misspelt_setting_is_named_with_the_one_that_was_meant():
    message = refusal(epohcs=3)

    assert message.startswith("params.yaml: train.epohcs: there is no such setting. Did you mean 'epochs'?")


def test_a_setting_like_no_other_gets_no_guess_but_the_list():
    message = refusal(zzz=3)

    assert "Did you mean" not in message
    assert "epochs, flip, kind, mean, optim, options, seed, sides" in message


def test_a_setting_inside_another_is_named_by_its_whole_path():
    assert refusal(optim={"lr": 0.1, "momentun": 0}).startswith(
        "params.yaml: train.optim.momentun: there is no such setting. Did you mean 'momentum'?"
    )
    assert refusal(optim={"lr": "fast"}) == "params.yaml: train.optim.lr: must be of type float, not 'fast'."
    assert refusal(sides=[8, "9"]) == "params.yaml: train.sides[1]: must be of type int, not '9'."


@pytest.mark.parametrize("number", [10**18 * 10, -(10**309), 16**5000], ids=["20 digits", "310 digits", "6021 digits"])
def test_a_whole_number_beyond_all_others_is_a_problem_like_others_and_not_printed(number: int):
    """Of 309 digits Python makes no float, and of more than 4300 no text."""
    beyond = "must lie within ±9223372036854775807, and is a whole number beyond."
    message = refusal(epochs=number, optim={"lr": number}, seed=number, sides=[8, number], kind=number)
    places = ("epochs", "kind", "optim.lr", "sides[1]", "seed")
    assert sorted(message.splitlines()) == sorted(f"params.yaml: train.{place}: {beyond}" for place in places)


def test_what_holds_a_whole_number_of_thousands_of_digits_is_refused_as_other_values_are():
    of = "a whole number of thousands of digits"
    assert refusal(epochs=[16**5000]) == f"params.yaml: train.epochs: must be of type int, not {of}."
    assert refusal(optim=[16**5000]) == f"params.yaml: train.optim: must be a mapping of settings, not {of}."
    assert refusal(seed=[16**5000]).endswith(f"must be of type int, not {of}.")
    assert refusal(kind=[16**5000]).endswith(f"must be one of 'step', 'cosine', not {of}.")
    with pytest.raises(UserError, match=f"^x.{of}: there is no such setting"):
        params.build(Optim, {"lr": 0.1, 16**5000: 1}, "x")


def test_the_largest_whole_number_is_a_setting():
    assert build(seed=2**63 - 1).seed == 2**63 - 1
    assert build(optim={"lr": 2**62}).optim.lr == 2.0**62


@pytest.mark.parametrize("text", [f"lr: 1{':30' * 400}.5", f"lr: {'9' * 5000}", "lr: 2024-99-99"], ids=str.__len__)
def test_yaml_of_which_python_makes_no_number_or_date_is_said_to_be_none(tmp_path: Path, text: str):
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(UserError, match="is no readable YAML: "):
        params.read_all(tmp_path / "params.yaml")


def test_all_that_is_wrong_is_said_at_once_a_line_each():
    wrong = settings(epochs="3", kind="stepp", optim={"lr": -1.0}, sides=[8, "9"], epohcs=3)
    del wrong["flip"]
    with pytest.raises(UserError) as error:
        params.build(Train, wrong, where="train")
    found = str(error.value).splitlines()
    places = ["train.epohcs", "train.flip", "train.epochs", "train.kind", "train.optim", "train.sides[1]"]
    assert [line.partition(": ")[0] for line in found] == places


def test_every_rule_that_does_not_hold_is_said():
    with pytest.raises(ValueError) as error:
        params.require((False, "one"), (True, "two"), (False, "three"))
    assert error.value.args == ("one", "three")
    params.require((True, "one"))


def test_what_is_wrong_is_collected_where_a_list_is_given():
    found = ["before"]
    assert params.attempt(Optim, {"lr": 0.1}, "a", found) == Optim(0.1)
    assert params.attempt(Optim, {"lr": 0.0}, "b", found) is None
    assert found == ["before", "b: lr must be positive"]


def test_a_section_of_a_file_ends_with_what_mends_it(tmp_path: Path):
    file = tmp_path / "params.yaml"
    file.write_text("optim: {lr: 2, momentun: 1}\n")
    with pytest.raises(
        UserError, match=r"(?s)params.yaml: optim.momentun: .*\nMend this in conf/ or in the override, then `pipeline p"
    ):
        params.load("optim", Optim, file)


def test_a_setting_whose_name_yaml_reads_as_a_boolean_is_refused():
    with pytest.raises(UserError, match=r"train\.True: there is no such setting"):  # `on: 3` in YAML
        params.build(Optim, {"lr": 0.1, True: 3}, where="train")


def test_a_missing_setting_is_named():
    with pytest.raises(UserError, match=r"^train\.lr: this setting is missing\.$"):
        params.build(Optim, {"momentum": 0.5}, where="train")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 3.0),
        ("epochs", "3"),
        ("epochs", True),
        ("epochs", None),
        ("flip", 1),
        ("flip", "yes"),
        ("optim", 0.1),
        ("optim", {"lr": True}),
        ("sides", 8),
        ("sides", {"0": 8}),
        ("mean", [0.5]),
        ("mean", [0.5, 0.4, 0.3]),
        ("seed", "0"),
        ("seed", 0.0),
        ("options", [1]),
    ],
)
def test_a_value_of_another_type_is_refused_by_name(name: str, value: Any):
    assert f"train.{name}" in refusal(**{name: value})


@dataclass(frozen=True)
class Choice:
    flip: bool | Literal["auto"] | tuple[tuple[str, str], ...]
    precision: Literal["32", "bf16"] = "32"


@pytest.mark.parametrize("value", [True, False, "auto", [["a", "b"], ["c", "d"]]])
def test_a_value_may_be_of_several_types(value: Any):
    kept = params.build(Choice, {"flip": value}, "x").flip
    assert kept == (tuple(map(tuple, value)) if isinstance(value, list) else value)


@pytest.mark.parametrize(
    ("value", "said"),
    [("car", "x.flip: must be of type bool or 'auto' or list, not 'car'."), (1, "x.flip: must be of type"),
     ([["a", 2]], "x.flip[0][1]: must be of type str, not 2.")],
)  # fmt: skip
def test_a_value_of_none_of_several_types_is_refused_by_all_of_them_or_by_its_entry(value: Any, said: str):
    with pytest.raises(UserError) as error:
        params.build(Choice, {"flip": value}, "x")
    assert str(error.value).startswith(said)


def test_a_number_is_the_choice_that_is_written_like_it():
    assert params.build(Choice, {"flip": True, "precision": 32}, "x").precision == "32"
    with pytest.raises(UserError, match=r"x\.precision: must be one of '32', 'bf16', not 33"):
        params.build(Choice, {"flip": True, "precision": 33}, "x")


def test_lists_become_tuples():
    assert build(sides=[]).sides == ()
    assert build(sides=[1, 2, 3]).sides == (1, 2, 3)


def test_a_whole_number_is_taken_where_a_float_is_asked_for():
    lr = build(optim={"lr": 1}).optim.lr

    assert (lr, type(lr)) == (1.0, float)
    assert [type(value) for value in build(mean=[1, 0]).mean] == [float, float]


def test_a_word_outside_the_choice_is_refused_with_the_choice():
    assert refusal(kind="stepp").startswith(
        "params.yaml: train.kind: must be one of 'step', 'cosine', not 'stepp'. Did you mean 'step'?"
    )


def test_an_optional_setting_is_null_or_a_value():
    assert build(seed=None).seed is None
    assert build(seed=7).seed == 7


def test_a_check_of_the_dataclass_itself_is_reported_with_its_place():
    assert refusal(optim={"lr": -1.0}) == "params.yaml: train.optim: lr must be positive"


def test_a_section_that_is_no_mapping_is_refused():
    with pytest.raises(UserError, match="train: must be a mapping"):
        params.build(Optim, [1, 2], where="train")


def test_a_dotted_section_of_a_file_is_loaded(tmp_path: Path):
    file = tmp_path / "params.yaml"
    file.write_text("models:\n  tiny:\n    lr: 2\n", encoding="utf-8")

    assert params.load("models.tiny", Optim, file) == Optim(2.0)


def test_a_missing_file_is_named_with_the_command_that_makes_it(tmp_path: Path):
    with pytest.raises(UserError, match=r"nowhere\.yaml does not exist.*pipeline params"):
        params.load("train", Optim, tmp_path / "nowhere.yaml")


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ("trian", r"no section 'trian'. Did you mean 'train'\? There are: models, train"),
        ("models.tin", r"no section 'models.tin'. Did you mean 'tiny'\?"),
        ("train.optim", r"no section 'train.optim'. There are: nothing"),  # train is a number there
    ],
)
def test_a_missing_section_is_named_with_those_that_there_are(tmp_path: Path, section: str, message: str):
    file = tmp_path / "params.yaml"
    file.write_text("models: {tiny: {lr: 2}}\ntrain: 3\n", encoding="utf-8")

    with pytest.raises(UserError, match=message):
        params.read(section, file)


def test_an_empty_file_has_no_section(tmp_path: Path):
    file = tmp_path / "params.yaml"
    file.write_text("")

    with pytest.raises(UserError, match="no section 'train'"):
        params.read("train", file)


def test_a_file_that_is_no_yaml_is_refused_with_the_line(tmp_path: Path):
    file = tmp_path / "params.yaml"
    file.write_text("train:\n  lr: [1\nother: 2\n")

    with pytest.raises(UserError, match=r"(?s)params\.yaml.*line 3"):
        params.read("train", file)


def test_options_are_the_keyword_only_arguments_of_a_builder():
    def builder(num_classes: int, *, frames: int = 8, dropout: float = 0.5) -> None: ...

    assert params.options(builder, {"frames": 4, "dropout": 1}, "models.tsm") == {"frames": 4, "dropout": 1.0}
    with pytest.raises(UserError, match=r"models.tsm.frame: there is no such option. Did you mean 'frames'\?"):
        params.options(builder, {"frame": 4}, "models.tsm")
    with pytest.raises(UserError, match="num_classes: there is no such"):  # from the corpus, never from a setting
        params.options(builder, {"num_classes": 4}, "models.tsm")


def test_options_are_of_the_types_that_a_builder_is_annotated_with():
    def builder(
        *, blocks: Sequence[int] | None = None, more: Mapping[str, Any] | None = None, dropout: float
    ) -> None: ...

    given = {"blocks": [1, 2], "more": {"a": [3]}, "dropout": 0}
    assert params.options(builder, given, "options") == {"blocks": (1, 2), "more": {"a": [3]}, "dropout": 0.0}
    assert params.options(builder, {"blocks": None, "more": None}, "options") == {"blocks": None, "more": None}
    with pytest.raises(UserError) as error:
        params.options(builder, {"blocks": [1, "2"], "more": 3, "dropout": "0"}, "options")
    assert str(error.value).splitlines() == [
        "options.blocks[1]: must be of type int, not '2'.",
        "options.more: must be of type mapping, not 3.",
        "options.dropout: must be of type float, not '0'.",
    ]


def test_a_dataclass_becomes_plain_values_and_comes_back():
    plain = params.plain(build())

    assert plain["optim"] == {"lr": 0.1, "momentum": 0.9}
    assert Optim(**plain["optim"]) == Optim(0.1)
