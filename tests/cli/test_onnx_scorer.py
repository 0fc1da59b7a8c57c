"""An exported file as the one who answers; tests/export/test_onnx.py has the answers."""

from pathlib import Path
from types import SimpleNamespace

from pipeline.cli.onnx_scorer import OnnxScorer
from pipeline.core.task import MULTI_LABEL
from pipeline.export import description, graphs
from tests.support import tiny


def test_the_file_of_a_model_is_opened_once(tmp_path, monkeypatch):
    opened = []
    clip = tiny.model().clip
    view = SimpleNamespace(scale=SimpleNamespace(side=clip.side, crop=clip.crop))
    told = SimpleNamespace(
        model="net", arch="tsn", classes=("a", "b"), input=None, sampler=clip.sampler, task=MULTI_LABEL,
        grid=SimpleNamespace(seen=[view], protocols={"clip": [0]}), weights_sha256="0" * 64, extract="as it says",
        pack=SimpleNamespace(smaller=()),
    )  # fmt: skip
    session = SimpleNamespace(get_modelmeta=lambda: SimpleNamespace(custom_metadata_map={"model": "net"}))
    monkeypatch.setattr(graphs, "session", lambda file, threads: opened.append((file, threads)) or session)
    monkeypatch.setattr(description, "read", lambda *_: told)
    scorer = OnnxScorer(Path("net.onnx"), tiny.machine(tmp_path))
    assert opened == [(Path("net.onnx"), tiny.machine(tmp_path).threads)]
    assert scorer.members[0].predictor.network.session is session
    assert scorer.extract == "as it says"
