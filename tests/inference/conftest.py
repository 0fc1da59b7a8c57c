"""Two models and a corpus, made once for all tests of inference, and what one of the models says of it."""

from pathlib import Path

import pytest

from tests.support import inference, tiny
from tests.support.inference import Models


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    folder = tmp_path_factory.mktemp("models")
    corpus = tiny.corpus(folder / "lmdb", **inference.VIDEOS)
    for name, seed in (("net", 0), ("other", 1)):
        inference.write_model(folder / "models" / name, seed)
    return folder / "models", corpus


@pytest.fixture(scope="session")
def whole(models: Models, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The prediction files of `net`, from an undisturbed run."""
    return inference.infer(models, tmp_path_factory.mktemp("whole") / "predictions")
