"""HTTP servers in the test's own process."""

import http.server
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers requests over lasting connections, and says nothing about them."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


class Threaded(socketserver.ThreadingMixIn):
    """A server with a thread for each client, of which many may come at once."""

    daemon_threads = True
    request_queue_size = 32

    def handle_error(self, *_: object) -> None:
        """A client that has gone is no news."""


@contextmanager
def running(server: socketserver.BaseServer) -> Iterator[None]:
    """Have it answer for the length of the block."""
    with server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()
