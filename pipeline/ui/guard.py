"""What stands before every page: who may ask, and what a browser may do with the answer.

A page of another site can make a browser send requests to this machine. It cannot read the answers, unless its own name
is made to lead here (DNS rebinding): hence a request must name this server as its host. Nor can it hide where a form
comes from: hence what changes something must come from a page of this server.
"""

import ipaddress
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; media-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
"""Content-Security-Policy of the pages, which have no script."""
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
}
"""Headers of every answer, where it has none of the name itself."""
_ASKS = ("GET", "HEAD")


class Guard:
    """Refuse requests that name another host, or change something from elsewhere.

    Args:
        app: what answers the others.
        names: names of this server besides `localhost` and addresses, which no name leads to.
        policy: Content-Security-Policy of the answers.
        programs: whether a request without an Origin, as programs send it, may change something, too.
    """

    def __init__(self, app: ASGIApp, names: Iterable[str] = (), policy: str = POLICY, programs: bool = False) -> None:
        self.app = app
        self.names = {"localhost", *(name.lower() for name in names)}
        self.headers = {**HEADERS, "Content-Security-Policy": policy}
        self.programs = programs

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self.headers.items():
                    headers.setdefault(name, value)
            await send(message)

        refusal = self._refusal(scope)
        answer: ASGIApp = PlainTextResponse(f"{refusal}\n", 403) if refusal else self.app
        await answer(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope) -> str:
        """What is wrong with a request, in a sentence; empty where nothing is."""
        headers = Headers(scope=scope)
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self._is_here(hosts[0]):
            return (
                "The request names another host. Open the address that was printed at the start, or give --host NAME."
            )
        if scope["type"] != "http":
            return "Only HTTP is spoken here."
        allowed = [[f"http://{hosts[0]}"], [f"https://{hosts[0]}"], *([[]] if self.programs else [])]  # TLS: of a proxy
        if scope["method"] not in _ASKS and headers.getlist("origin") not in allowed:
            return "What changes something must come from a page of this server (Origin)."
        return ""

    def _is_here(self, host: str) -> bool:
        """Whether a Host header names this server: an address, or one of the names."""
        try:
            parts = urlsplit(f"//{host}")
            name, _ = parts.hostname or "", parts.port
        except ValueError:
            return False
        if parts.netloc != host or "@" in host:
            return False
        return name in self.names or _is_address(name)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
