"""A mirror swaps left and right: which class names say so, and whose labels a mirrored clip gets."""

import json
import logging
import subprocess
import sys

import pytest

from pipeline.clips import flips
from pipeline.core.errors import UserError

LEFT, RIGHT = "swipe left", "swipe right"


@pytest.mark.parametrize(
    "name",
    [
        "turn left", "Left", "swipe_right", "SwipeRight", "swipeLeft", "TURN-LEFT", "2left", "pull from left to right",
        "rotate clockwise", "counter-clockwise", "CounterClockwise", "walk_west", "nach links drehen", "Linkskurve",
        "im Uhrzeigersinn", "tourner à gauche", "main droite", "girar a la izquierda", "mano derecha", "sinistra",
        "virar à esquerda", "sentido anti-horário", "sentido anti-hora\u0301rio", "linksaf slaan", "vänster", "w prawo",
        "SAĞA DÖN", "soldan", "Αριστερός", "влево", "по часовой стрелке", "向左转", "右手", "順時針旋轉", "左に曲がる",
        "時計回り", "오른쪽으로", "انعطف يسارا", "اليمين", "פנייה ימינה", "เลี้ยวซ้าย", "दाएं मुड़ें", "slide →",
    ],
)  # fmt: skip
def test_names_about_sides_are_found_in_many_languages_and_spellings(name):
    assert flips.sided(["jump", name, "run"]) == [name]


@pytest.mark.parametrize(
    "name",
    [
        "bright light", "upright", "copyright", "leftovers", "wrestling", "westernisation", "cleft", "Rechteck",
        "adroit", "up", "down", "zoom in", "swimming", "лев", "правда", "산에 오른다", "东西", "L", "R", "jump rope",
        "letter l", "solar", "",
    ],
)  # fmt: skip
def test_a_word_that_only_holds_such_letters_is_none(name):
    assert flips.sided(["jump", name]) == []


def test_a_lone_l_is_left_where_the_same_name_with_an_r_is_a_class():
    assert flips.sided(["arm L", "arm_r", "leg l", "L", "R", "letter r"]) == ["arm L", "arm_r"]


def test_classes_without_sides_are_mirrored_by_auto_without_a_word(caplog):
    assert flips.resolve("auto", ["run", "jump"]) is True
    assert caplog.text == ""


def test_auto_mirrors_nothing_where_names_are_about_sides_and_says_which(caplog):
    assert flips.resolve("auto", ["run", LEFT, RIGHT]) is False
    assert "are not mirrored (dataset.flip: auto)" in caplog.text
    assert f"about sides: {LEFT}, {RIGHT}. " in caplog.text
    assert caplog.records[0].levelno == logging.WARNING


def test_true_stays_true_with_a_warning_and_false_needs_none(caplog):
    assert flips.resolve(False, ["run", LEFT]) is False
    assert caplog.text == ""
    assert flips.resolve(True, ["run", LEFT]) is True
    assert f"are mirrored and keep these labels, which are about sides: {LEFT}. " in caplog.text


def test_pairs_are_kept_and_what_they_leave_out_is_said(caplog):
    pair = ((LEFT, RIGHT),)
    assert flips.resolve(pair, [LEFT, RIGHT, "run"]) == pair
    assert caplog.text == ""
    assert flips.resolve(pair, [LEFT, RIGHT, "turn left"]) == pair
    assert "about sides: turn left. " in caplog.text


def test_a_pair_of_something_else_than_classes_is_an_error_that_guesses():
    with pytest.raises(UserError, match=r"dataset\.flip: 'swipe lef' is no class\. Did you mean 'swipe left'\?"):
        flips.resolve((("swipe lef", RIGHT),), [LEFT, RIGHT])


def test_a_class_takes_the_label_of_its_partner_and_others_their_own():
    classes = ["run", RIGHT, "jump", LEFT]
    assert flips.swapped(((LEFT, RIGHT),), classes) == [0, 3, 2, 1]
    for flip in (True, False, "auto"):
        assert flips.swapped(flip, classes) == [0, 1, 2, 3]


@pytest.mark.parametrize("flip", [(), ((LEFT, LEFT),), ((LEFT, RIGHT), ("turn", LEFT))])
def test_pairs_that_cannot_be_swapped_break_the_rule(flip):
    assert not flips.rule(flip)[0]
    assert flips.rule(((LEFT, RIGHT),))[0]


def test_names_can_be_judged_without_torch():
    code = "import sys, pipeline.clips.flips; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.lower()) is False
