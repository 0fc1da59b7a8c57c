"""A service over a model of random weights, and who asks it."""

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from pipeline.cli import serve
from pipeline.core.machine import load_machine
from pipeline.serve.answering import Answering
from pipeline.serve.app import App, application
from pipeline.serve.limits import Limits
from tests.export.conftest import project  # noqa: F401 - a fixture

HERE = "http://127.0.0.1:8000"


@pytest.fixture
def uploads(tmp_path: Path) -> Path:
    """The folder that holds uploads while they are answered."""
    (tmp_path / "uploads").mkdir()
    return tmp_path / "uploads"


@pytest.fixture
def service(project: Path, uploads: Path) -> Callable[..., App]:  # noqa: F811 - the fixture
    """`service(model, seconds=10)`: a model of the project, within limits; scratch files lie below `uploads`."""

    def make(model: str = "net", at_once: int = 1, **limits: float) -> App:
        machine = replace(load_machine(), scratch=str(uploads))
        asked = argparse.Namespace(model=model, onnx=None, data=project / "data")
        answering = Answering(serve._model(asked, machine), Limits(**limits), machine.ffmpeg_path())
        return App(answering, uploads, at_once)

    return make


@pytest.fixture
def client() -> Callable[..., TestClient]:
    """`client(app)`: who asks a service."""
    return lambda app, *names: TestClient(application(app, names), base_url=HERE)
