import pytest

from pipeline.core.errors import UserError
from tests.support.command import call


def test_options_of_runs_without_a_run_are_refused():
    with pytest.raises(UserError, match="are for runs: name one, or two"):
        call("compare", "--split", "val")
