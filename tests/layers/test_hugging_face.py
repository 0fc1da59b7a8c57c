"""The library transformers is an extra, and must be young enough."""

import sys
from types import SimpleNamespace

import pytest

from pipeline.core.errors import UserError
from pipeline.layers import hugging_face


@pytest.mark.parametrize(
    ("there", "message"),
    [
        (None, r"a package that is missing here.*'\.\[hf\]'"),
        (SimpleNamespace(__version__="4.1"), r"4\.1 here is too old"),
    ],
)
def test_a_missing_and_an_old_library_are_one_message(monkeypatch, there, message):
    monkeypatch.setitem(sys.modules, "transformers", there)
    with pytest.raises(UserError, match=message):
        hugging_face.library()
