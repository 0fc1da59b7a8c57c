"""The pages, as a Starlette application: plain HTML with forms, and no script.

GET  /                          the videos that a query asks for, `query.PAGE` a page
GET  /video/7?...               the video in row 7 of the manifest, and its neighbours under the same query
POST /video/7/mark, /unmark     a mark is set or taken back
GET  /media/7, /frame/7/0.jpg   its file (by range), a frame of its strip
GET  /marks.csv, /style.css     the marks, the style sheet
"""

from dataclasses import replace
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from markupsafe import Markup
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.convertors import IntegerConvertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from pipeline.core.errors import UserError
from pipeline.report.page import style, templates
from pipeline.ui import query, views
from pipeline.ui.catalogue import Catalogue
from pipeline.ui.guard import Guard
from pipeline.ui.marks import MISSING, WRONG, Mark, Marks, text
from pipeline.ui.media import Media
from pipeline.ui.query import PAGE, Query

LARGEST_FORM = 10_000
"""Bytes of a form."""
_TEMPLATES = Path(__file__).parent / "template"


class _Place(IntegerConvertor):  # type: ignore[misc] # of an extra, at which mypy does not look
    """A number in an address, as long as any can be: of thousands of digits Python reads none."""

    regex = "[0-9]{1,18}"


register_url_convertor("place", _Place())


class App:
    """What the pages are made of, and the pages."""

    def __init__(self, catalogue: Catalogue, media: Media, marks: Marks, corpus: str) -> None:
        self.catalogue, self.media, self.marks = catalogue, media, marks
        self.templates = templates(_TEMPLATES)
        options = "".join(Markup("<option>{}</option>").format(name) for name in catalogue.classes)
        choices = query.CHOICES | {"status": (*query.STATUS, *catalogue.reasons)}
        known = {"classes": Markup(options), "models": tuple(catalogue.models), "choices": choices}  # noqa: S704
        self.templates.globals |= {"corpus": corpus, "longest": query.LONGEST, **known}

    def listing(self, request: Request) -> Response:
        """The videos that a query asks for."""
        asked = Query.of_address(request.query_params, self.catalogue)
        marks = self.marks.read()
        rows = asked.rows(self.catalogue, self._marked(marks))
        page, pages = _number(request.query_params.get("page", "1")), max(1, -(-len(rows) // PAGE))
        if not 1 <= page <= pages:
            raise HTTPException(404, f"There is no page {page}, only 1 to {pages}.")
        marked = {mark.video for mark in marks}
        shown = rows[(page - 1) * PAGE : page * PAGE].tolist()
        cards = [views.card(self.catalogue, self.media, asked, row, marked) for row in shown]
        return self._page("listing.html", asked=asked, cards=cards, found=len(rows), page=page, pages=pages)

    def video(self, request: Request) -> Response:
        """One video."""
        asked, row = Query.of_address(request.query_params, self.catalogue), self._row(request)
        marks = self.marks.read()
        rows = asked.rows(self.catalogue, self._marked(marks))
        if row not in rows:  # it has just been marked, and the list is of those without a mark
            rows = replace(asked, marked="").rows(self.catalogue, self._marked(marks))
        own = [mark for mark in marks if mark.video == self.catalogue.videos[row].as_py()]
        shown = views.video(self.catalogue, self.media, row, own)
        return self._page("video.html", asked=asked, video=shown, own=own, list=_neighbours(rows, row))

    async def mark(self, request: Request) -> Response:
        """Set a mark: the form has `label` and `comment`."""
        return await self._changed(request, self._add)

    async def unmark(self, request: Request) -> Response:
        """Take a mark back: the form has `label`."""
        return await self._changed(request, lambda video, _, form: self.marks.remove(video, form.get("label", "")))

    def media_file(self, request: Request) -> Response:
        """The file of a video, or the part of it that the request names."""
        row = self._row(request)
        try:
            kind = self.media.kind(row) or "application/octet-stream"
            return FileResponse(self.media.file(row), media_type=kind, headers={"Cache-Control": "private"})
        except UserError as error:
            raise HTTPException(404, str(error)) from error

    async def frame(self, request: Request) -> Response:
        """A frame of the strip of a video; not in a thread, as LMDB's readers are not shared by several at once."""
        try:
            jpeg = self.media.frame(self._row(request), request.path_params["number"])
        except UserError as error:
            raise HTTPException(404, str(error)) from error
        return Response(jpeg, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=600"})

    def marks_csv(self, _: Request) -> Response:
        """The marks as a file."""
        headers = {"Content-Disposition": 'attachment; filename="marks.csv"'}
        return Response(text(self.marks.read()), media_type="text/csv", headers=headers)

    def style(self, _: Request) -> Response:
        """The style sheet."""
        own = (_TEMPLATES / "ui.css").read_text(encoding="utf-8")
        return Response(f"{style()}\n{own}", media_type="text/css", headers={"Cache-Control": "max-age=60"})

    def failed(self, _: Request, error: Exception) -> Response:
        """The page of an error that a message explains."""
        status = error.status_code if isinstance(error, HTTPException) else 400
        said = error.detail if isinstance(error, HTTPException) else str(error)
        return self._page("error.html", status, title=HTTPStatus(status).phrase, said=said)

    async def _changed(self, request: Request, change: Any) -> Response:
        row = self._row(request)
        asked = Query.of_address(request.query_params, self.catalogue)
        form = await _form(request)
        await run_in_threadpool(change, self.catalogue.videos[row].as_py(), row, form)
        return RedirectResponse(f"/video/{row}?{asked.address()}#marks", 303)

    def _add(self, video: str, row: int, form: dict[str, str]) -> None:
        label = form.get("label", "").strip()
        if label not in self.catalogue.classes:
            raise UserError(f"There is no class {label!r} to mark.")
        kind = WRONG if label in self.catalogue.names(row) else MISSING
        self.marks.add(video, label, kind, form.get("comment", "").strip())

    def _marked(self, marks: list[Mark]) -> np.ndarray:
        """bool (V,): the videos that bear a mark."""
        wanted = pa.array({mark.video for mark in marks}, pa.string())
        found: np.ndarray = pc.is_in(self.catalogue.videos, wanted).to_numpy(zero_copy_only=False)
        return found

    def _row(self, request: Request) -> int:
        row: int = request.path_params["row"]
        if row >= len(self.catalogue):
            raise HTTPException(404, f"There is no video {row}, only 0 to {len(self.catalogue) - 1}.")
        return row

    def _page(self, template: str, status: int = 200, **values: Any) -> Response:
        return HTMLResponse(self.templates.get_template(template).render(**values), status)


def application(app: App, names: tuple[str, ...] = ()) -> Starlette:
    """The application; `names` are those of `Guard`."""
    routes = [
        Route("/", app.listing),
        Route("/video/{row:place}", app.video),
        Route("/video/{row:place}/mark", app.mark, methods=["POST"]),
        Route("/video/{row:place}/unmark", app.unmark, methods=["POST"]),
        Route("/media/{row:place}", app.media_file),
        Route("/frame/{row:place}/{number:place}.jpg", app.frame),
        Route("/marks.csv", app.marks_csv),
        Route("/style.css", app.style),
    ]
    handlers = {UserError: app.failed, HTTPException: app.failed}
    return Starlette(routes=routes, middleware=[Middleware(Guard, names=names)], exception_handlers=handlers)


async def _form(request: Request) -> dict[str, str]:
    """The fields of a form; the last, where one stands there twice."""
    if request.headers.get("content-type", "").partition(";")[0] != "application/x-www-form-urlencoded":
        raise HTTPException(415, "This is no form.")
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LARGEST_FORM:
            raise HTTPException(413, f"A form has at most {LARGEST_FORM:,} bytes.")
    try:
        fields = parse_qs(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=10)
    except ValueError as error:
        raise HTTPException(400, "The form is damaged.") from error
    return {name: values[-1] for name, values in fields.items()}


def _neighbours(rows: np.ndarray, row: int) -> dict[str, int | None]:
    """The video before and after one in a list, and its place there, counted from 1; None where there is none."""
    places = np.flatnonzero(rows == row)
    if not len(places):
        return {"before": None, "after": None, "place": None, "found": len(rows)}
    at = int(places[0])
    after = int(rows[at + 1]) if at + 1 < len(rows) else None
    return {"before": int(rows[at - 1]) if at else None, "after": after, "place": at + 1, "found": len(rows)}


def _number(said: str) -> int:
    if not (said.isascii() and said.isdecimal() and len(said) < 10):
        raise UserError(f"page: {said!r} is no number.")
    return int(said)
