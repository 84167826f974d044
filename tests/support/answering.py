"""HTTP servers on loopback that answer as a test says."""

import http.server
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from tests.support.serving import running

Handler = http.server.BaseHTTPRequestHandler


@contextmanager
def serving(answer: Callable[[Handler], None]) -> Iterator[tuple[str, list[str]]]:
    """A server that answers so; its URL, and the paths that were asked for."""
    asked: list[str] = []

    class Answering(Handler):
        def do_GET(self) -> None:  # noqa: N802  # http.server's name
            asked.append(self.path)
            with suppress(ConnectionError):
                answer(self)

        do_POST = do_HEAD = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    with running(server):
        yield f"http://127.0.0.1:{server.server_port}", asked


def send(handler: Handler, data: bytes, status: int = 200, length: int | None = None, **headers: str) -> None:
    """Answer with this body, which may be announced with another length; ``headers`` have _ for -."""
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(data) if length is None else length))
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(data)
