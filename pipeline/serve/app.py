"""The service, as a Starlette application.

POST /predict?name=clip.mp4     the body is the file itself; the answer is a line of `pipeline predict --json`
GET  /model                     who answers, its classes, and the limits
GET  /                          a page to try it; GET /style.css, /try.js

What has no answer gets a status and {"error": REASON, "message": SENTENCE}.
"""

import asyncio
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any

from anyio import CapacityLimiter, to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from pipeline.core.files import temporary_folder
from pipeline.core.task import noted
from pipeline.report.page import style, templates
from pipeline.serve.answering import Answering
from pipeline.serve.refused import Refused
from pipeline.ui.guard import Guard

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; media-src blob:; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
"""Content-Security-Policy of the page, whose script lies beside it."""
LONGEST_NAME = 255
UPLOAD_SECONDS = 300.0
"""Time that a file may take to arrive, at most."""
GRACE_SECONDS, LEAST_RATE = 15.0, 10_000
"""Time that any file may take, and the bytes that buy a second more: who sends one now and then takes others' place."""
LINGER_SECONDS = 2.0
"""Time for the rest of a body that is refused: who is hung up on while he sends may never read why."""
WAITING = 4
"""Uploads at a time, for each that is computed."""
_LONGEST_NUMBER = 18
"""Digits of a number of bytes."""
_TEMPLATES = Path(__file__).parent / "template"


class App:
    """Uploads, and the page.

    Args:
        scratch: folder for uploads while they are answered.
        at_once: number of uploads that are computed at the same time.
    """

    def __init__(self, answering: Answering, scratch: Path, at_once: int) -> None:
        self.answering, self.scratch = answering, scratch
        self.limiter, self.most, self.present = CapacityLimiter(at_once), WAITING * at_once, 0
        self.templates = templates(_TEMPLATES)

    async def predict(self, request: Request) -> Response:
        """The answer for an upload."""
        if self.present >= self.most:
            busy = f"{self.present} uploads are being answered. Ask again later."
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, "busy", busy)
        self.present += 1
        try:
            with temporary_folder(self.scratch) as folder:
                return await self._answer(request, folder / "upload")
        except OSError as error:  # a full disk, say
            raise Refused.at_fault(error) from error
        except asyncio.CancelledError as error:  # uvicorn's, once it has waited
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, "ending", "The server was told to end.") from error
        finally:
            self.present -= 1

    async def _answer(self, request: Request, file: Path) -> Response:
        name = _name(request)
        await self._receive(request, file)
        scores = await to_thread.run_sync(self.answering.answer, file, name, limiter=self.limiter)
        return Response(self.answering.model.told(name, scores), media_type="application/json")

    async def _receive(self, request: Request, file: Path) -> None:
        """Write the body to a file.

        Raises:
            Refused: it is too long, takes too long, or comes with a length that is none.
        """
        most, got = self.answering.limits.bytes, 0
        too_large = Refused.broken("too_large", f"The file has more than the {most:,} bytes that are taken.")
        declared = request.headers.get("content-length", "0")
        if not (declared.isascii() and declared.isdecimal()):
            raise Refused(HTTPStatus.BAD_REQUEST, "length", "The header Content-Length is no number.")
        if len(declared) > _LONGEST_NUMBER or int(declared) > most:  # of thousands of digits Python reads none
            raise too_large
        begun, seconds = asyncio.get_running_loop().time(), GRACE_SECONDS
        try:
            async with asyncio.timeout_at(begun + seconds) as clock:
                with file.open("wb") as out:
                    async for part in request.stream():
                        got += len(part)
                        if got > most:
                            raise too_large
                        out.write(part)
                        seconds = min(GRACE_SECONDS + got / LEAST_RATE, UPLOAD_SECONDS)
                        clock.reschedule(begun + seconds)
        except TimeoutError as error:
            late = f"Of the file, {got:,} bytes have arrived within {seconds:.0f} s, which is too slow."
            raise Refused(HTTPStatus.REQUEST_TIMEOUT, "slow", late) from error

    def model(self, _: Request) -> Response:
        """Who answers."""
        model = self.answering.model
        told = {"model": model.name, **noted(model.task), "classes": model.classes}
        return JSONResponse({**told, "limits": vars(self.answering.limits)})

    def page(self, _: Request) -> Response:
        """A form for one file, and its answer."""
        page = self.templates.get_template("try.html")
        return HTMLResponse(page.render(model=self.answering.model, limits=self.answering.limits))

    def script(self, _: Request) -> Response:
        """What the page does."""
        return FileResponse(_TEMPLATES / "try.js", media_type="text/javascript")

    def style(self, _: Request) -> Response:
        """The style sheet."""
        own = (_TEMPLATES / "try.css").read_text(encoding="utf-8")
        return Response(f"{style()}\n{own}", media_type="text/css")


def application(app: App, names: tuple[str, ...] = ()) -> Starlette:
    """The application; `names` are those of `Guard`."""
    routes = [
        Route("/", app.page),
        Route("/predict", app.predict, methods=["POST"]),
        Route("/model", app.model),
        Route("/style.css", app.style),
        Route("/try.js", app.script),
    ]
    guard = Middleware(Guard, names=names, policy=POLICY, programs=True)
    handlers: Any = {Refused: _refused, HTTPException: _failed, ClientDisconnect: _gone, Exception: _unforeseen}
    return Starlette(routes=routes, middleware=[guard], exception_handlers=handlers)


def _name(request: Request) -> str:
    """What the answer calls the video.

    Raises:
        Refused: the body is not the file itself, or the name is too long.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind.startswith("multipart/") or request.headers.get("content-encoding", "identity") != "identity":
        told = "The body must be the file itself, as `curl --data-binary @clip.mp4` sends it."
        raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "not_the_file", told)
    name: str = request.query_params.get("name", "upload")
    if len(name) > LONGEST_NAME:
        raise Refused(HTTPStatus.UNPROCESSABLE_ENTITY, "name", f"A name has at most {LONGEST_NAME} characters.")
    return name


async def _refused(request: Request, error: Refused) -> Response:
    """The status and the message."""
    answer = _Parting({"error": error.reason, "message": str(error)}, error.status)
    answer.request = request
    if error.status == HTTPStatus.SERVICE_UNAVAILABLE:
        answer.headers["Retry-After"] = "1"
    return answer


class _Parting(JSONResponse):  # type: ignore[misc] # of an extra, at which mypy does not look
    """An answer that may come before the whole request; what still comes of that is thrown away, for a while."""

    request: Request

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - Starlette's
        """Send it, as Starlette's own responses do, but for the end."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        if "expect" not in self.request.headers:  # else the rest does not come before it is asked for
            # RuntimeError: all of it was read; CancelledError: the server ends
            with suppress(ClientDisconnect, RuntimeError, TimeoutError, asyncio.CancelledError):
                async with asyncio.timeout(LINGER_SECONDS):
                    async for _ in self.request.stream():
                        pass
        await send({"type": "http.response.body", "body": b""})


async def _failed(request: Request, error: HTTPException) -> Response:
    """What no route answers."""
    word = HTTPStatus(error.status_code).phrase.lower().replace(" ", "_")
    said = f"{request.method} {request.url.path} is nothing that is served; GET / says what is."
    return JSONResponse({"error": word, "message": said}, error.status_code, headers=error.headers)


async def _unforeseen(*_: object) -> Response:
    """For an error of the program, which Starlette raises again, so that its traceback is told on stderr."""
    said = "This server has failed; its log says how. It may do so again for the same file."
    return JSONResponse({"error": "server", "message": said}, HTTPStatus.INTERNAL_SERVER_ERROR)


async def _gone(*_: object) -> Response:
    """For one who hung up, and reads nothing."""
    return Response(status_code=HTTPStatus.BAD_REQUEST)
