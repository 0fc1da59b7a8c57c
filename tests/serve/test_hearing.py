"""A model that hears answers whatever has sound, within the same limits."""

import pytest
import yaml

from pipeline.core import params
from pipeline.training import trainer
from tests.support import tiny, tiny_sound
from tests.support.corpus import ffmpeg

pytestmark = pytest.mark.slow  # a model is trained


@pytest.fixture
def ask(project, service, client):
    """Who asks a service of `ear`, which takes 5 seconds, and next to no picture."""
    data = tiny_sound.corpus(project / "sound")
    trainer.fit(tiny_sound.model(epochs=1), *data, project / "data/models/ear", tiny.machine(project / "work"))
    settings = yaml.safe_load((project / "params.yaml").read_text())
    settings["models"]["ear"] = {"test": params.plain(tiny_sound.VIEWS)}
    (project / "params.yaml").write_text(yaml.safe_dump(settings))
    return client(service(model="ear", seconds=5, pixels=10))


def test_sound_is_answered_where_it_is_not_too_long_whatever_is_shown(ask, clips, tmp_path, uploads):
    def sent(content):
        answer = ask.post("/predict", content=content)
        return answer.status_code, answer.json()

    status, told = sent((clips / "sound_only.mp4").read_bytes())
    assert (status, sorted(told["scores"])) == (200, sorted(tiny_sound.PITCHES))
    status, told = sent((clips / "with_sound.mp4").read_bytes())
    assert (status, sorted(told["scores"])) == (200, sorted(tiny_sound.PITCHES))
    assert "audio/*" in ask.get("/").text
    status, told = sent((clips / "short.mp4").read_bytes())
    assert (status, told["error"]) == (422, "no_audio")
    ffmpeg(["-f", "lavfi", "-i", "sine=r=16000:d=7", "-f", "wav", str(tmp_path / "long.wav")])
    status, told = sent((tmp_path / "long.wav").read_bytes())
    assert (status, told["error"]) == (413, "too_large")
    assert "extract." not in told["message"]
    assert not [path for path in uploads.rglob("*") if path.is_file()]
