"""An ensemble's answers, from checkpoints and from the files of `pipeline export`, which `make nightly` can write."""

from pathlib import Path

import pytest

from pipeline.cli.main import main
from pipeline.serve.limits import Limits
from tests.cli.test_predict import project as trained  # noqa: F401 - a fixture
from tests.export.test_onnx import here  # noqa: F401 - a fixture
from tests.serve.conftest import serving
from tests.support.command import call

pytestmark = pytest.mark.nightly


@pytest.mark.parametrize("model", ["net", "ensemble"])
@pytest.mark.parametrize("exported", [False, True], ids=["checkpoints", "onnx"])
def test_an_answer_is_the_line_of_predict(here, clips, client, uploads, capsys, model, exported):  # noqa: F811 - the fixture
    file, asked = clips / "upright.mp4", {"model": model}
    if exported:
        call("export", model, "--onnx")
        asked = {"onnx": Path(f"export/{model}/{model}.onnx")}
        capsys.readouterr()
    ask = client(serving(uploads, 1, Limits(), **asked))

    answer = ask.post("/predict", params={"name": str(file)}, content=file.read_bytes())

    (option, value), *_ = asked.items()
    assert main(["predict", str(file), f"--{option}", str(value), "--json"]) == 0
    assert answer.text == capsys.readouterr().out.rstrip("\n")
    assert ask.get("/model").json()["model"] == model
