"""Numbers with their nouns."""

import pytest

from pipeline.core.plural import number_of


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ((0, "video"), "0 videos"),
        ((1, "video"), "1 video"),
        ((2000, "video"), "2,000 videos"),
        ((1, "class", "classes"), "1 class"),
        ((2, "class", "classes"), "2 classes"),
    ],
)
def test_the_noun_agrees_with_the_number(given, text):
    assert number_of(*given) == text
