"""A model of flow answers uploads as `pipeline predict` answers files, from its checkpoint and from its ONNX file."""

import sys
from pathlib import Path

import pytest

from pipeline.cli.main import main
from pipeline.core.errors import UserError
from pipeline.serve.limits import Limits
from tests.export.conftest import moving, project  # noqa: F401 - fixtures
from tests.serve.conftest import serving
from tests.support.command import call
from tests.support.corpus import ffmpeg

pytestmark = pytest.mark.slow
FILE = Path("export/way/way.onnx")


@pytest.mark.parametrize("asked", [{"model": "way"}, pytest.param({"onnx": FILE}, marks=pytest.mark.nightly)])
def test_an_answer_is_the_line_of_predict(moving, clips, tmp_path, client, uploads, capsys, asked):  # noqa: F811 - the fixture
    if "onnx" in asked:
        call("export", "way", "--onnx")
        capsys.readouterr()
    ask = client(serving(uploads, 1, Limits(), **asked))
    file, ((option, value),) = clips / "vp9.webm", asked.items()

    answer = ask.post("/predict", params={"name": str(file)}, content=file.read_bytes())

    assert main(["predict", str(file), f"--{option}", str(value), "--json"]) == 0
    assert answer.text == capsys.readouterr().out.rstrip("\n")
    ffmpeg(["-f", "lavfi", "-i", "testsrc2=s=64x48:r=30:d=0.1", str(tmp_path / "one.mkv")])
    answer = ask.post("/predict", content=(tmp_path / "one.mkv").read_bytes())
    assert (answer.status_code, answer.json()["error"]) == (422, "one_frame")
    assert not [path for path in uploads.rglob("*") if path.is_file()]


def test_a_missing_opencv_is_said_before_anybody_asks(moving, uploads, monkeypatch):  # noqa: F811 - the fixture
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(UserError, match=r"Optical flow .*--constraint constraints.txt --editable '\.\[flow\]'"):
        serving(uploads, 1, Limits(), model="way")
