"""The page of a fleet: it shows what the database has, runs no script, and is for people who may look only."""

import hmac
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.routing import Route

from corebox.errors import CoreboxError, HostError, InputError
from corebox.fleet import decisions, questions, readers, views
from corebox.fleet.database import Fleet
from corebox.fleet.readers import Reader
from corebox.fleet.reporting import page_path, report_path
from corebox.fleet.views import BadRequestError, View

_COOKIE = "corebox"
_POLICY = "default-src 'none'; style-src {}; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
_HEADERS = {
    "Content-Security-Policy": _POLICY.format("'self'"),
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
#: A report is one file, with its style in it.
_REPORT_HEADERS = {**_HEADERS, "Content-Security-Policy": _POLICY.format("'unsafe-inline'")}
_BODY_BYTES = 4096
_WORDS = {
    400: "The request is not understood.",
    403: "Your role does not permit that.",
    404: "There is no such thing, or you may not see it.",
    413: "The request is too long.",
    503: "The database does not answer.",
}
_PAGES: dict[str, Callable[[Fleet, Reader, Request], View]] = {
    "/": views.overview,
    "/family/{number}": views.family,
    "/crash/{number}": views.crash,
    "/search": views.search,
    "/backlog": views.backlog,
    "/readers": views.people,
}
Form = dict[str, str]


class _RefusedError(Exception):
    """The answer is this status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def page_routes(fleet: Fleet, user_header: str | None = None) -> list[Route]:
    """All that a person sees of the fleet; with ``.json`` at the end the same for programs.

    ``user_header`` is the header in which a proxy names the person who has logged in; nobody else is believed then.
    """
    site = _Site(fleet, user_header)
    twins = {("/overview" if path == "/" else path) + ".json": view for path, view in _PAGES.items()}
    posts = {"/family/{number}": site.decide, "/readers": site.add_reader, "/readers/{number}": site.remove_reader}
    return [
        Route("/login", site.ask_token),
        Route("/login", site.log_in, methods=["POST"]),
        Route("/logout", site.log_out, methods=["POST"]),
        Route("/style.css", site.style),
        Route("/crash/{number}.corebox", site.opened("bundle downloaded", _bundle)),
        Route("/crash/{number}/report", site.opened("report opened", _page)),
        Route("/crash/{number}/report.json", site.opened("report opened", _document)),
        *(Route(path, site.posted(handler), methods=["POST"]) for path, handler in posts.items()),
        *(Route(path, site.shown(view, as_json=True)) for path, view in twins.items()),
        *(Route(path, site.shown(view, as_json=False)) for path, view in _PAGES.items()),
    ]


class _Site:
    def __init__(self, fleet: Fleet, user_header: str | None) -> None:
        self._fleet = fleet
        self._user_header = user_header

    def shown(self, view: Callable[[Fleet, Reader, Request], View], *, as_json: bool) -> Callable[[Request], Response]:
        """The view as a page or a document, for who may look."""

        def endpoint(request: Request) -> Response:
            try:
                reader = self._reader(request)
                if reader is None:
                    return self._stranger(as_json=as_json)
                if view is views.people and not reader.administers:
                    raise _RefusedError(403)
                found = view(self._fleet, reader, request)
            except (CoreboxError, BadRequestError, _RefusedError) as error:
                return _problem(_status(error), as_json=as_json)
            return _json({"version": 1, **found.document}) if as_json else _html(views.render(found, reader))

        return endpoint

    def opened(self, what: str, answer: Callable[[Fleet, int], Response]) -> Callable[[Request], Response]:
        """What has values of a process's memory: for who may, and it is noted."""

        def endpoint(request: Request) -> Response:
            try:
                reader = self._reader(request)
                if reader is None:
                    return Response(None, 401, _HEADERS)
                if not reader.opens:
                    raise _RefusedError(403)
                number = views.crash_of(self._fleet, reader, request).row.id
                found = answer(self._fleet, number)
                decisions.note_opened(self._fleet, number, what, reader.name)
            except (CoreboxError, BadRequestError, _RefusedError) as error:
                return _problem(_status(error))
            return found

        return endpoint

    def posted(self, handler: Callable[[Reader, Request, Form], Response]) -> Callable[[Request], Any]:
        """What a form of this site asks for."""

        async def endpoint(request: Request) -> Response:
            try:
                form = await _form(request)
                return await run_in_threadpool(self._checked, handler, request, form)
            except (CoreboxError, BadRequestError, _RefusedError) as error:
                return _problem(_status(error))

        return endpoint

    def _checked(self, handler: Callable[[Reader, Request, Form], Response], request: Request, form: Form) -> Response:
        reader = self._reader(request)
        if reader is None:
            return self._stranger()
        return handler(reader, request, form)

    def decide(self, reader: Reader, request: Request, form: Form) -> Response:
        """Name a family, note its ticket, merge or split it."""
        if not reader.decides:
            raise _RefusedError(403)
        number = views.number_of(request)
        value = form.get("value", "").strip()
        what = form.get("do")
        if what == "name":
            decisions.name_family(self._fleet, number, views.checked_text(value) or None, reader.name)
        elif what == "ticket":
            decisions.note_ticket(self._fleet, number, views.checked_text(value) or None, reader.name)
        elif what == "merge":
            decisions.merge_families(self._fleet, number, views.checked_number(value), reader.name)
            number = int(value)
        elif what == "split":
            decisions.split_family(self._fleet, views.checked_number(value), reader.name)
        else:
            raise BadRequestError
        return RedirectResponse(f"/family/{number}", 303, _HEADERS)

    def add_reader(self, reader: Reader, _: Request, form: Form) -> Response:
        """Let somebody look; the token is shown once."""
        if not reader.administers:
            raise _RefusedError(403)
        name, role = views.checked_text(form.get("name", "").strip()), form.get("role", "")
        if not name or role not in readers.ROLES:
            raise BadRequestError
        customer = views.checked_text(form.get("customer", "").strip()) or None
        token = readers.add_reader(self._fleet, name, role, customer)
        decisions.note_reader(self._fleet, f"{name} may look, as {role}", reader.name)
        return _html(views.render(views.people(self._fleet, reader, None, token), reader))

    def remove_reader(self, reader: Reader, request: Request, _: Form) -> Response:
        """Let somebody look no longer."""
        if not reader.administers:
            raise _RefusedError(403)
        number = views.number_of(request)
        if not readers.remove_reader(self._fleet, number):
            raise _RefusedError(404)
        decisions.note_reader(self._fleet, f"reader {number} may no longer look", reader.name)
        return RedirectResponse("/readers", 303, _HEADERS)

    def ask_token(self, _: Request) -> Response:
        """The form to log in."""
        return _html(views.render(View("login", "Log in", {}, {"wrong": False})))

    async def log_in(self, request: Request) -> Response:
        """Keep the token in a cookie that no other site can send."""
        try:
            token = (await _form(request)).get("token", "")
            known = await run_in_threadpool(readers.reader_of, self._fleet, token)
        except (CoreboxError, _RefusedError) as error:
            return _problem(_status(error))
        if known is None or self._user_header:
            return _html(views.render(View("login", "Log in", {}, {"wrong": True})), 403)
        answer = RedirectResponse("/", 303, _HEADERS)
        secure = request.url.scheme == "https"
        answer.set_cookie(_COOKIE, token, httponly=True, samesite="strict", secure=secure)
        return answer

    def log_out(self, request: Request) -> Response:
        """Forget the cookie."""
        if not _from_here(request):
            return Response(None, 403, _HEADERS)
        answer = RedirectResponse("/login", 303, _HEADERS)
        answer.delete_cookie(_COOKIE)
        return answer

    def style(self, _: Request) -> Response:
        """The page's style."""
        return Response(views.STYLE.read_bytes(), headers=_HEADERS, media_type="text/css")

    def _reader(self, request: Request) -> Reader | None:
        if self._user_header:
            name = request.headers.get(self._user_header)
            return readers.reader_named(self._fleet, name) if name else None
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        token = token if kind.lower() == "bearer" else request.cookies.get(_COOKIE, "")
        return readers.reader_of(self._fleet, token) if token else None

    def _stranger(self, *, as_json: bool = False) -> Response:
        if as_json:
            return _json({"error": "log in"}, 401)
        return _problem(403) if self._user_header else RedirectResponse("/login", 303, _HEADERS)


def _bundle(fleet: Fleet, number: int) -> Response:
    return FileResponse(questions.bundle(fleet, number), headers=_HEADERS, filename=f"{number}.corebox")


def _page(fleet: Fleet, number: int) -> Response:
    return Response(_kept(page_path(fleet, number)), headers=_REPORT_HEADERS, media_type="text/html")


def _document(fleet: Fleet, number: int) -> Response:
    return Response(_kept(report_path(fleet, number)), headers=_HEADERS, media_type="application/json")


def _kept(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise _RefusedError(404) from None


async def _form(request: Request) -> Form:
    """The fields of a form that this site has sent."""
    if not _from_here(request):
        raise _RefusedError(403)
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > _BODY_BYTES:
            raise _RefusedError(413)
    return {name: values[0] for name, values in parse_qs(body.decode("ascii", "replace")).items()}


def _from_here(request: Request) -> bool:
    """Whether the form that is posted was this site's: the browser says from which site it is."""
    if "Sec-Fetch-Site" in request.headers:
        return request.headers["Sec-Fetch-Site"] == "same-origin"
    origin = request.headers.get("Origin", "").partition("://")[2]
    return hmac.compare_digest(origin.encode(), request.headers.get("Host", "").encode())


def _status(error: Exception) -> int:
    if isinstance(error, _RefusedError):
        return error.status
    if isinstance(error, InputError):
        return 404
    return 503 if isinstance(error, HostError) else 400


def _problem(status: int, *, as_json: bool = False) -> Response:
    if as_json:
        return _json({"error": _WORDS[status]}, status)
    return _html(views.render(View("error", "That did not work", {}, {"message": _WORDS[status]})), status)


def _html(text: str, status: int = 200) -> Response:
    return Response(text, status, _HEADERS, "text/html")


def _json(document: dict[str, Any], status: int = 200) -> Response:
    return Response(json.dumps(document, sort_keys=True), status, _HEADERS, "application/json")
