"""Uploads and what comes of them: the answers of `pipeline predict`, or a status and a reason; and nothing is left."""

import asyncio
import json
import threading
from types import SimpleNamespace

import psutil
import pytest
import yaml

from pipeline.cli.main import main
from pipeline.core.errors import UserError
from pipeline.serve import app as serving
from pipeline.serve.limits import Limits
from pipeline.serve.refused import Refused
from tests.support import odd_files
from tests.support.corpus import ffmpeg

pytestmark = pytest.mark.slow
PICTURES = "-f lavfi -i testsrc2=s={size}:r={rate}:d={seconds} -c:v mpeg4 -threads 1"


def video(folder, size="64x48", rate=10, seconds=1):
    file = folder / "it.mp4"
    ffmpeg([*PICTURES.format(size=size, rate=rate, seconds=seconds).split(), str(file)])
    return file.read_bytes()


def left(uploads) -> list[str]:
    """What lies below a folder, but for empty folders."""
    return [str(path) for path in uploads.rglob("*") if path.is_file() or path.name.startswith(".partial")]


@pytest.mark.parametrize("model", ["net", "other"])
def test_an_answer_is_the_line_of_predict(service, client, clips, capsys, uploads, model):
    ask = client(service(model))
    for file in (clips / "vp9.webm", clips / "upright.mp4"):
        answer = ask.post("/predict", params={"name": str(file)}, content=file.read_bytes())
        assert main(["predict", str(file), "--model", model, "--json"]) == 0
        assert answer.status_code == 200
        assert answer.text == capsys.readouterr().out.rstrip("\n")
        assert answer.headers["content-type"] == "application/json"
    assert not left(uploads)


@pytest.fixture(scope="module")
def bad(tmp_path_factory, clips) -> dict[str, bytes]:
    """Files without an answer, by what they are."""
    folder, pixels = tmp_path_factory.mktemp("bad"), (clips / "h264.mp4").read_bytes()
    ffmpeg(["-i", str(clips / "h264.mp4"), "-frames:v", "1", str(folder / "picture.png")])
    return {
        "too long": video(folder, seconds=12),
        "too quick": video(folder, rate=90, seconds=9),
        "too wide": video(folder, size="400x300"),
        "too many bytes": bytes(200_001),
        "empty": b"",
        "text": b"Lorem ipsum " * 100,
        "playlist": b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile:///etc/passwd\n",
        "picture": (folder / "picture.png").read_bytes(),
        "sound": (clips / "sound_only.mp4").read_bytes(),
        "half": pixels[: len(pixels) // 2],
        "zeroed": bytes(odd_files.zeroed(bytearray((clips / "mpeg4.avi").read_bytes()))),
    }


LIMITS = {"seconds": 10, "frames": 600, "pixels": 160 * 161, "megabytes": 0.2}


@pytest.mark.parametrize(
    ("kind", "status", "reason", "message"),
    [
        ("too long", 413, "too_large", "12 seconds, and at most 10 are taken"),
        ("too quick", 413, "too_large", "810 frames, and at most 600 are taken"),
        ("too wide", 413, "too_large", "120,000 pixels a picture (400x300), and at most 25,760 are taken"),
        ("too many bytes", 413, "too_large", "more than the 200,000 bytes that are taken"),
        ("empty", 422, "empty", ""),
        ("text", 415, "not_a_video", "FFmpeg finds no video in the file"),
        ("playlist", 415, "refers_elsewhere", "a list of other files (hls), no video"),
        ("picture", 415, "still", "a picture"),
        ("sound", 415, "no_video_stream", "no video stream, but Audio: aac"),
        ("half", 422, "truncated", ""),
        ("zeroed", 422, "damaged decode_failed partial", ""),
    ],
)
def test_a_bad_upload_gets_a_status_and_a_reason(service, client, bad, uploads, kind, status, reason, message):
    answer = client(service(**LIMITS)).post("/predict", content=bad[kind])
    assert answer.status_code == status, answer.text
    assert set(answer.json()) == {"error", "message"}
    assert answer.json()["error"] in reason.split()
    assert message in answer.json()["message"]
    assert str(uploads) not in answer.text
    assert not left(uploads)


def test_a_file_that_says_less_than_it_is_stops_at_the_limit(service, client, tmp_path, uploads):
    bare = PICTURES.format(size="64x48", rate=10, seconds=12)  # a stream, of which nobody knows how long it is
    ffmpeg([*bare.split(), "-f", "m4v", str(tmp_path / "it.m4v")])
    answer = client(service(**LIMITS)).post("/predict", content=(tmp_path / "it.m4v").read_bytes())
    assert (answer.status_code, answer.json()["error"]) == (413, "too_large")
    assert "extract." not in answer.text
    assert not left(uploads)


def test_a_body_of_unknown_length_stops_at_the_limit(service, client, uploads):
    answer = client(service(megabytes=0.01)).post("/predict", content=(bytes(1000) for _ in range(11)))
    assert (answer.status_code, answer.json()["error"]) == (413, "too_large")
    assert not left(uploads)


def test_a_form_is_told_how_a_file_is_sent(service, client):
    ask = client(service())
    for headers in ({"Content-Type": "multipart/form-data; boundary=x"}, {"Content-Encoding": "gzip"}):
        answer = ask.post("/predict", content=b"--x", headers=headers)
        assert (answer.status_code, answer.json()["error"]) == (415, "not_the_file")
        assert "curl --data-binary @clip.mp4" in answer.json()["message"]


def test_a_name_is_no_path(service, client, clips, uploads):
    ask, content = client(service()), (clips / "short.mp4").read_bytes()
    answer = ask.post("/predict", params={"name": "../../<b>.mp4"}, content=content)
    assert answer.json()["video"] == "../../<b>.mp4"
    for name in ("", "./a//b.mp4", "https://a/b.mp4"):
        assert ask.post("/predict", params={"name": name}, content=content).json()["video"] == name
    assert ask.post("/predict", params={"name": "x" * 256}, content=content).status_code == 422
    assert not left(uploads)


def test_random_crops_are_those_of_the_name(project, service, client, clips, capsys):
    settings = yaml.safe_load((project / "params.yaml").read_text())
    settings["models"]["net"]["test"] |= {"crops": "random", "crop": 20}
    (project / "params.yaml").write_text(yaml.safe_dump(settings))
    ask, file = client(service()), clips / "upright.mp4"
    assert main(["predict", str(file), "--model", "net", "--json"]) == 0
    wanted = capsys.readouterr().out.rstrip("\n")
    found = [ask.post("/predict", params={"name": str(file)}, content=file.read_bytes()).text for _ in range(2)]
    assert found == [wanted, wanted]


def test_an_error_of_the_program_has_a_status_and_a_reason(service, client, clips, uploads):
    app = service()
    object.__setattr__(app.answering.model, "score", lambda *_: 1 / 0)
    ask = client(app)
    ask._transport.raise_server_exceptions = False
    answer = ask.post("/predict", content=(clips / "short.mp4").read_bytes())
    assert (answer.status_code, answer.json()["error"]) == (500, "server")
    assert "zero" not in answer.text
    assert not left(uploads)
    assert app.present == 0


def test_a_fault_of_the_server_is_told_on_its_side_alone(service, client, clips, capsys, uploads):
    app = service()

    def fail(*_):
        raise UserError("no room in /secret/folder")

    object.__setattr__(app.answering.model, "score", fail)
    answer = client(app).post("/predict", content=(clips / "short.mp4").read_bytes())
    assert (answer.status_code, answer.json()["error"]) == (503, "server")
    assert answer.headers["retry-after"] == "1"
    assert "secret" not in answer.text
    assert "no room in /secret/folder" in capsys.readouterr().err
    assert not left(uploads)


def test_an_upload_that_cannot_be_written_is_a_fault_of_the_server(service, client, capsys, uploads):
    ask = client(service())
    uploads.rename(uploads.with_name("gone"))
    answer = ask.post("/predict", content=b"it")
    assert (answer.status_code, answer.json()["error"]) == (503, "server")
    assert str(uploads) not in answer.text
    assert str(uploads) in capsys.readouterr().err


def test_more_uploads_than_there_is_room_for_are_told_to_come_again(service, client, clips, uploads):
    app, content = service(at_once=1), (clips / "short.mp4").read_bytes()
    asked, go = threading.Semaphore(0), threading.Event()
    score = app.answering.model.score

    def wait(*given):
        asked.release()
        go.wait(60)
        return score(*given)

    object.__setattr__(app.answering.model, "score", wait)
    with client(app) as ask:  # one event loop for all of them
        found: list[int] = []
        threads = [
            threading.Thread(target=lambda: found.append(ask.post("/predict", content=content).status_code))
            for _ in range(serving.WAITING)
        ]
        for thread in threads:
            thread.start()
        assert asked.acquire(timeout=60)
        while app.present < serving.WAITING:
            threading.Event().wait(0.01)
        refused = ask.post("/predict", content=content)
        go.set()
        for thread in threads:
            thread.join()
        assert (refused.status_code, refused.json()["error"]) == (503, "busy")
        assert found == [200] * serving.WAITING
        assert ask.post("/predict", content=content).status_code == 200
    assert not left(uploads)


@pytest.mark.parametrize(
    ("length", "status"), [("9" * 18, 413), ("9" * 19, 413), ("9" * 5_000, 413), ("-1", 400), ("1e9", 400)]
)
def test_a_length_that_no_body_has_is_refused(tmp_path, length, status):
    app = serving.App(SimpleNamespace(limits=Limits()), tmp_path, 1)
    with pytest.raises(Refused) as refused:
        asyncio.run(app._receive(SimpleNamespace(headers={"content-length": length}), tmp_path / "upload"))
    assert refused.value.status == status


@pytest.mark.parametrize(("part", "status"), [(1, 408), (50_000, None)])
def test_a_body_that_trickles_is_hung_up_on_and_a_slow_one_is_not(tmp_path, monkeypatch, part, status):
    monkeypatch.setattr(serving, "GRACE_SECONDS", 0.5)  # each of the large parts buys five more
    app = serving.App(SimpleNamespace(limits=Limits()), tmp_path, 1)
    sent = []

    async def stream():
        for _ in range(40):
            await asyncio.sleep(0.05)
            sent.append(part)
            yield bytes(part)

    receiving = app._receive(SimpleNamespace(headers={}, stream=stream), tmp_path / "upload")
    if status is None:
        asyncio.run(receiving)
        assert (tmp_path / "upload").stat().st_size == 40 * part
    else:
        with pytest.raises(Refused, match="bytes have arrived within [01] s, which is too slow") as refused:
            asyncio.run(receiving)
        assert (refused.value.status, refused.value.reason) == (status, "slow")
        assert len(sent) < 40


def test_a_body_may_take_no_longer_than_the_longest_time_however_quick_it_is(tmp_path, monkeypatch):
    monkeypatch.setattr(serving, "UPLOAD_SECONDS", 0.3)
    app = serving.App(SimpleNamespace(limits=Limits()), tmp_path, 1)

    async def stream():
        while True:
            await asyncio.sleep(0.01)
            yield bytes(1000)

    with pytest.raises(Refused, match="which is too slow"):
        asyncio.run(app._receive(SimpleNamespace(headers={}, stream=stream), tmp_path / "upload"))


def test_an_upload_that_is_under_way_when_the_server_ends_is_told_so_and_leaves_nothing(tmp_path):
    app = serving.application(serving.App(SimpleNamespace(limits=Limits()), tmp_path, 1))
    sent, parts = [], [{"type": "http.request", "body": b"half", "more_body": True}]
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/predict",
        "query_string": b"",
        "headers": [(b"host", b"[::1]")],
    }

    async def receive():
        if not parts:
            await asyncio.sleep(60)
        return parts.pop()

    async def send(message):
        sent.append(message)

    async def interrupted():
        task = asyncio.create_task(app(scope, receive, send))
        await asyncio.sleep(0.2)
        assert list(tmp_path.rglob("upload"))
        for _ in range(2):  # by the server, and by the loop that ends with it
            task.cancel()
            await asyncio.sleep(0.2)
        await task

    asyncio.run(interrupted())
    assert (sent[0]["status"], json.loads(sent[1]["body"])["error"]) == (503, "ending")
    assert not list(tmp_path.iterdir())


def test_the_model_is_described(service, client):
    told = client(service(seconds=7.5)).get("/model").json()
    assert (told["model"], told["classes"]) == ("net", ["blue", "green", "red"])
    assert told["limits"] == {"megabytes": 100, "seconds": 7.5, "frames": 7200, "pixels": 9_000_000}


def test_only_what_is_served_is_answered(service, client):
    ask = client(service())
    assert (ask.get("/etc").status_code, ask.get("/etc").json()["error"]) == (404, "not_found")
    assert ask.get("/predict").status_code == 405
    assert ask.get("/", headers={"Host": "evil.example"}).status_code == 403
    assert ask.post("/predict", content=b"x", headers={"Origin": "http://evil.example"}).status_code == 403


def test_the_page_loads_nothing_from_elsewhere(service, client):
    ask = client(service())
    page = ask.get("/")
    assert page.headers["content-security-policy"] == serving.POLICY
    assert "unsafe" not in serving.POLICY
    assert "audio/" not in page.text
    assert "http" not in page.text.replace("<!doctype html>", "").replace("/predict", "")
    assert "on" + "click" not in page.text
    for address in ("/try.js", "/style.css"):
        assert ask.get(address).status_code == 200
        assert "//" not in ask.get(address).text.replace("// ", "")


def test_descriptors_threads_and_children_are_as_before(service, client, clips, bad, uploads):
    process, good = psutil.Process(), (clips / "short.mp4").read_bytes()
    children = process.children()  # other tests may have left some, such as a server of forks
    with client(service(**LIMITS)) as ask:
        ask.post("/predict", content=good)
        before = process.num_fds(), threading.active_count()
        for kind in ("half", "text", "too wide", "too many bytes"):
            ask.post("/predict", content=bad[kind])
        assert ask.post("/predict", content=good).status_code == 200
        assert (process.num_fds(), threading.active_count()) == before
        assert process.children() == children
    assert not left(uploads)
