"""A page that several tests read."""

import pytest

from tests.support import finished
from tests.support.html_page import EVIL, page


@pytest.fixture(scope="session")
def done(tmp_path_factory):
    """(input paths, folder, page) of a run whose names are hostile."""
    folder = tmp_path_factory.mktemp("done")
    sources = finished.run(
        folder, classes=("a<b>", EVIL, "plain", *"cdefghi"), prefix="</script>&", weights="best", mean="best"
    )
    return sources, folder / "report", page(sources, folder / "report")
