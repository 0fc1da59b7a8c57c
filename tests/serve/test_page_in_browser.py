"""The page, tried in a browser: a file is chosen and sent, and its classes or the reason are shown."""

import base64
import socket
import threading

import pytest
import uvicorn

from pipeline.serve.app import application
from tests.support.browser import in_browser
from tests.support.devtools import Tab

CHOOSE = """
    const bytes = Uint8Array.from(atob("{content}"), one => one.charCodeAt(0));
    const chosen = new DataTransfer();
    chosen.items.add(new File([bytes], "{name}"));
    const field = document.querySelector("#file");
    field.files = chosen.files;
    field.dispatchEvent(new Event("change"));
    document.querySelector("#try button").click();
    while (document.querySelector("#try button").disabled) await new Promise(done => setTimeout(done, 20));
    return [document.querySelector("#said").textContent, !document.querySelector("#scores").hidden,
            all("#scores tbody tr").map(row => row.innerText.trim().split(/\\s+/))];
"""


@pytest.fixture
def address(service):
    """Where the service of `net` listens, in a thread."""
    server = uvicorn.Server(uvicorn.Config(application(service(megabytes=0.1)), log_level="warning"))
    with socket.create_server(("127.0.0.1", 0)) as opened:
        thread = threading.Thread(target=server.run, args=([opened],))
        thread.start()
        yield f"http://127.0.0.1:{opened.getsockname()[1]}/"
        server.should_exit = True
        thread.join()


@in_browser
@pytest.mark.slow
def test_a_file_is_answered_or_refused(address, tmp_path, clips):
    def choose(tab, name, content):
        return tab.run(CHOOSE.format(name=name, content=base64.b64encode(content).decode()))

    with Tab(address, tmp_path / "profile") as tab:
        said, shown, rows = choose(tab, "<b>x</b>.mp4", (clips / "short.mp4").read_bytes())
        assert (said, shown) == ("<b>x</b>.mp4", True)
        assert sorted(name for name, _ in rows) == ["blue", "green", "red"]
        scores = [float(score) for _, score in rows]
        assert scores == sorted(scores, reverse=True)
        assert tab.run("return all('.try meter').length") == 3
        said, shown, _ = choose(tab, "notes.txt", b"no video")
        assert (said.split(":")[0], shown) == ("not_a_video", False)
        assert choose(tab, "large.mp4", bytes(100_001))[0].startswith("too_large: the file has 100,001 bytes")
        [refused] = tab.console
        assert "415" in refused  # which the browser notes by itself
    assert all(not path.is_file() for path in (tmp_path / "uploads").rglob("*"))
