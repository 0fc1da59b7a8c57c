"""Who may ask: another name for this server (DNS rebinding), and forms from elsewhere (CSRF)."""

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from pipeline.ui.guard import HEADERS, Guard

HERE = "127.0.0.1:8000"


def client(*names):
    route = Route("/", lambda _: PlainTextResponse("in"), methods=["GET", "POST"])
    return TestClient(Starlette(routes=[route], middleware=[Middleware(Guard, names=names)]))


@pytest.mark.parametrize("host", [HERE, "localhost:8000", "LOCALHOST", "[::1]:8000", "192.168.1.5", "box:8000", "Box"])
def test_addresses_and_own_names_are_let_in(host):
    assert client("box").get("/", headers={"Host": host}).text == "in"


@pytest.mark.parametrize(
    "host",
    [
        "evil.example:8000", "box.evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "", "x@127.0.0.1",
        "127.0.0.1/x", "127.0.0.1:port", "127.0.0.1:8000:1", "[::1", "0x7f.1", "localhost@evil.example",
        "evil#localhost", "127.0.0.1, evil.example",
    ],
)  # fmt: skip
def test_other_names_are_kept_out(host):
    answer = client("box").get("/", headers={"Host": host})
    assert (answer.status_code, "another host" in answer.text) == (403, True)


def test_two_hosts_and_none_are_kept_out():
    assert client().get("/", headers=[("Host", HERE), ("Host", HERE)]).status_code == 403
    assert client().get("/", headers={"Host": "box"}).status_code == 403


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "", f"ftp://{HERE}", f"http://{HERE}.evil.example", "https://127.0.0.1"]
)
def test_a_form_from_elsewhere_changes_nothing(origin):
    answer = client().post("/", headers={"Host": HERE, "Origin": origin})
    assert (answer.status_code, "must come from a page of this server" in answer.text) == (403, True)


def test_a_form_needs_one_origin_which_is_this_server():
    assert client().post("/", headers={"Host": HERE}).status_code == 403
    twice = [("Host", HERE), ("Origin", f"http://{HERE}"), ("Origin", "http://evil.example")]
    assert client().post("/", headers=twice).status_code == 403
    assert client().post("/", headers={"Host": HERE, "Origin": f"http://{HERE}"}).text == "in"


def test_a_form_may_come_through_a_proxy_that_speaks_tls():
    headers = {"Host": "box.example", "Origin": "https://box.example"}
    assert client("box.example").post("/", headers=headers).text == "in"
    assert client().post("/", headers=headers).status_code == 403


def test_every_answer_has_the_headers_refusals_too():
    for host in (HERE, "evil.example"):
        found = client().get("/", headers={"Host": host}).headers
        assert {name: found[name] for name in HEADERS} == HEADERS
    assert "script-src" not in HEADERS["Content-Security-Policy"]
    assert "default-src 'none'" in HEADERS["Content-Security-Policy"]
    assert "unsafe" not in HEADERS["Content-Security-Policy"]
