"""Crashes arrive by HTTP: resumable uploads (tus 1.0) and plain ones (PUT), each with a customer's token.

A crash is acknowledged when its bytes and its row are on disk. Whoever sends learns nothing of what is in the fleet.
"""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from corebox.errors import CoreboxError, HostError, InputError
from corebox.files.copying import write_all
from corebox.fleet.arrival import Labels
from corebox.fleet.site import page_routes
from corebox.fleet.tokens import digest_of, labels_of
from corebox.fleet.uploads import Upload, Uploads

_VERSION = "1.0.0"
_ALWAYS = {"Tus-Resumable": _VERSION, "Cache-Control": "no-store"}
_OFFERED = {"Tus-Version": _VERSION, "Tus-Extension": "creation,creation-defer-length,termination"}
_RETRY_SECONDS = "30"
#: How many bytes come between two looks at the disk.
_LOOK_BYTES = 16 << 20
_STATUS = {"disk-reserve": 507, "no-space": 507, "too-large": 413, "wrong-length": 409}
_OCTETS = "application/offset+octet-stream"
#: A release or a case that the sender names.
_RELEASE, _SOURCE = "X-Corebox-Release", "X-Corebox-Source"


class _Sender(NamedTuple):
    """Who sends: what the token says of the crashes, and its digest in hex."""

    labels: Labels
    owner: str


_Handler = Callable[[Request, _Sender], Awaitable[Response]]


def make_app(uploads: Uploads, user_header: str | None = None) -> Starlette:
    """The application; what is uploaded goes into the fleet of ``uploads``; ``user_header``: see ``page_routes``."""
    server = _Server(uploads)
    whole = server.guarded({"POST": server.create, "PUT": server.put})
    part = server.guarded({"HEAD": server.tell, "PATCH": server.append, "DELETE": server.drop})
    return Starlette(
        routes=[
            Route("/files/", whole, methods=["POST", "PUT", "OPTIONS"]),
            Route("/files/{name}", part, methods=["HEAD", "PATCH", "DELETE"]),
            Route("/healthy", server.healthy),
            *page_routes(uploads.fleet, user_header),
        ]
    )


def serve(uploads: Uploads, host: str, port: int, user_header: str | None = None) -> None:
    """Serve until Ctrl-C."""
    uvicorn.run(make_app(uploads, user_header), host=host, port=port, log_level="warning", server_header=False)


class _Server:
    def __init__(self, uploads: Uploads) -> None:
        self._uploads = uploads
        self._busy: set[str] = set()

    def guarded(self, handlers: dict[str, _Handler]) -> Callable[[Request], Awaitable[Response]]:
        """Requests of who has a token; errors as statuses."""

        async def endpoint(request: Request) -> Response:
            if request.method == "OPTIONS":
                return _answer(204, **_OFFERED)
            try:
                sender = await self._sender(request)
                if sender is None:
                    return _answer(401, **{"WWW-Authenticate": "Bearer"})
                return await handlers[request.method](request, sender)
            except CoreboxError as error:
                return _refusal(error)

        return endpoint

    async def healthy(self, _: Request) -> Response:
        """Whether crashes can be taken now."""
        try:
            await run_in_threadpool(labels_of, self._uploads.fleet, "")
            self._uploads.require_room(0)
        except CoreboxError as error:
            return _refusal(error)
        return _answer(204)

    async def create(self, request: Request, sender: _Sender) -> Response:
        """Begin a resumable upload."""
        length = _number(request, "Upload-Length")
        self._require_size(length or 0)
        upload = await run_in_threadpool(self._uploads.begin, sender.owner, length)
        return _answer(201, Location=f"{request.url.path}{upload.name}")

    async def tell(self, request: Request, sender: _Sender) -> Response:
        """How far an upload is."""
        upload = self._find(request, sender)
        if upload is None:
            return _answer(404)
        length = {} if upload.length is None else {"Upload-Length": str(upload.length)}
        return _answer(200, **{"Upload-Offset": str(upload.offset)}, **length)

    async def append(self, request: Request, sender: _Sender) -> Response:
        """Go on with an upload; with its last byte it is in the fleet."""
        upload = self._find(request, sender)
        if upload is None:
            return _answer(404)
        if request.headers.get("Content-Type") != _OCTETS:
            return _answer(415)
        if upload.name in self._busy:
            return _answer(423)
        self._busy.add(upload.name)
        try:
            if _number(request, "Upload-Offset") != upload.offset:
                return _answer(409)
            length = _number(request, "Upload-Length")
            if length is not None:
                self._require_size(length)
                upload.set_length(length)
            await self._take(request, upload)
            offset = upload.offset
            if offset == upload.length:
                await run_in_threadpool(upload.finish, self._uploads.fleet, _with_names(sender.labels, request))
            return _answer(204, **{"Upload-Offset": str(offset)})
        finally:
            self._busy.discard(upload.name)

    async def drop(self, request: Request, sender: _Sender) -> Response:
        """Forget an upload."""
        upload = self._find(request, sender)
        if upload is None:
            return _answer(404)
        upload.drop()
        return _answer(204)

    async def put(self, request: Request, sender: _Sender) -> Response:
        """Take a whole bundle, as ``curl --upload-file`` sends it."""
        length = _number(request, "Content-Length")
        self._require_size(length or 0)
        upload = await run_in_threadpool(self._uploads.begin, sender.owner, length)
        try:
            await self._take(request, upload)
            upload.set_length(length if length is not None else upload.offset)
            if upload.offset != upload.length:
                return _answer(400)
            await run_in_threadpool(upload.finish, self._uploads.fleet, _with_names(sender.labels, request))
        finally:
            upload.drop()
        return _answer(201)

    async def _sender(self, request: Request) -> _Sender | None:
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        if kind.lower() != "bearer" or not token:
            return None
        labels = await run_in_threadpool(labels_of, self._uploads.fleet, token)
        return None if labels is None else _Sender(labels, digest_of(token).hex())

    def _find(self, request: Request, sender: _Sender) -> Upload | None:
        return self._uploads.find(request.path_params["name"], sender.owner)

    async def _take(self, request: Request, upload: Upload) -> None:
        """Append the body; what came before a cut stays.

        Raises:
            InputError: ``too-large``, ``wrong-length``.
            HostError: ``disk-reserve``.
        """
        most = self._uploads.max_size if upload.length is None else upload.length
        size, looked = upload.offset, -_LOOK_BYTES
        with upload.appending() as descriptor:
            try:
                async for piece in request.stream():
                    if size - looked >= _LOOK_BYTES:
                        self._uploads.require_room(0)
                        looked = size
                    size += len(piece)
                    if size > most:
                        raise InputError("too-large", f"the upload is longer than {most} bytes", "send less: --slim")
                    await run_in_threadpool(write_all, descriptor, piece)
            except ClientDisconnect:
                return

    def _require_size(self, length: int) -> None:
        if length > self._uploads.max_size:
            hint = "send less: corebox gather --slim --light; or have the limit raised: --max-size"
            raise InputError("too-large", f"the upload would be longer than {self._uploads.max_size} bytes", hint)


def _with_names(labels: Labels, request: Request) -> Labels:
    """What the token does not say, from the headers."""
    names = request.headers
    return labels._replace(release=names.get(_RELEASE, ""), source=names.get(_SOURCE) or None)


def _number(request: Request, name: str) -> int | None:
    text = request.headers.get(name, "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else None


def _refusal(error: CoreboxError) -> Response:
    """The error as a status: who sends may try again later, or not at all."""
    status = _STATUS.get(error.code, 503 if isinstance(error, HostError) else 422)
    later = {"Retry-After": _RETRY_SECONDS} if status in (503, 507) else {}
    return Response(f"{error.message}\n" if status != 503 else None, status, {**_ALWAYS, **later}, "text/plain")


def _answer(status: int, **headers: str) -> Response:
    return Response(None, status, {**_ALWAYS, **headers})
