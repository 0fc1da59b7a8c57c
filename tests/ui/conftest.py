"""Runs that the pages are about, and who asks for them."""

from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from benchmarks.rows import many_videos
from pipeline.ui.app import App, application
from pipeline.ui.catalogue import Catalogue
from pipeline.ui.marks import Marks
from pipeline.ui.media import Media
from tests.support import finished
from tests.support.html_page import EVIL

HERE = "http://127.0.0.1:8000"
FORM = {"Origin": HERE}
"""Headers of a form of this server."""


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the outs of 400 videos of 7 classes and 3 members; read it only."""
    folder = tmp_path_factory.mktemp("many")
    many_videos.write(folder / "data", videos=400, classes=7)
    return folder


@pytest.fixture(scope="session")
def catalogue(run: Path) -> Catalogue:
    return Catalogue.read(run / "data", run / "scratch")


@pytest.fixture(scope="session")
def evil_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same of a small run with frames, whose names are markup."""
    folder = tmp_path_factory.mktemp("evil")
    finished.run(folder / "data", classes=("a<b>", EVIL, "plain"), prefix="</script>&")
    return folder


@pytest.fixture
def client(tmp_path: Path) -> Callable[..., TestClient]:
    """`client(folder)`: a browser that looks at the run of a folder, with the corpus in `tmp_path / "videos"`."""

    def ask(folder: Path, catalogue: Catalogue | None = None, names: tuple[str, ...] = ()) -> TestClient:
        found = catalogue or Catalogue.read(folder / "data", tmp_path / "scratch")
        media = Media(found, tmp_path / "videos", folder / "data" / "lmdb")
        app = application(App(found, media, Marks(tmp_path / "marks.csv"), "clips"), names)
        return TestClient(app, base_url=HERE, follow_redirects=False)

    return ask
