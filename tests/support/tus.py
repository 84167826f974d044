"""A server of resumable uploads (tus 1.0, creation-defer-length) in the test's process, with faults on demand."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class TusServer(ThreadingHTTPServer):
    """Keeps one upload; ``faults`` are done to the next requests, one each."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.data = b""
        self.length: int | None = None
        self.dropped = False
        self.headers: dict[str, str] = {}
        self.location = "/files/1"
        self.faults: list[str] = []
        self.requests: list[str] = []

    @property
    def url(self) -> str:
        """Where uploads begin."""
        return f"http://127.0.0.1:{self.server_address[1]}/files"


class _Handler(BaseHTTPRequestHandler):
    server: TusServer

    def log_message(self, *_: object) -> None:
        """Nothing."""

    def _answer(self, status: int, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Tus-Resumable": "1.0.0", "Content-Length": "0", **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def _fault(self) -> str:
        self.server.requests.append(self.command)
        return self.server.faults.pop(0) if self.server.faults else ""

    def do_POST(self) -> None:
        """Create."""
        fault = self._fault()
        if fault:
            self._fail(fault)
            return
        self.server.headers = dict(self.headers.items())
        self._answer(201, Location=self.server.location)

    def do_HEAD(self) -> None:
        """Tell the offset."""
        fault = self._fault()
        if fault:
            self._fail(fault)
            return
        length = {} if self.server.length is None else {"Upload_Length": str(self.server.length)}
        self._answer(200, Upload_Offset=str(len(self.server.data)), **length)

    def do_PATCH(self) -> None:
        """Take what follows."""
        fault, size = self._fault(), int(self.headers["Content-Length"])
        if fault.isdigit() or fault == "redirect":
            self.rfile.read(size)
            self._fail(fault)
            return
        if int(self.headers["Upload-Offset"]) != len(self.server.data):
            self.rfile.read(size)
            self._answer(409)
            return
        part = size // 2 if fault in ("cut", "part") else size
        self.server.data += self.rfile.read(part)
        if fault == "cut":
            self.connection.close()
            return
        self.rfile.read(size - part)
        if fault == "lose":
            self.server.data = b""
            self._answer(503)
            return
        if "Upload-Length" in self.headers:
            self.server.length = int(self.headers["Upload-Length"])
        if fault == "unheard":
            self.connection.close()
            return
        self._answer(204, Upload_Offset=str(len(self.server.data)))

    def do_DELETE(self) -> None:
        """Forget."""
        self.server.requests.append(self.command)
        self.server.dropped = True
        self._answer(204)

    def _fail(self, fault: str) -> None:
        if fault == "redirect":
            self._answer(307, Location="http://127.0.0.1:1/elsewhere")
        elif fault == "garbage":
            self.wfile.write(b"\xff" * 100000)
        else:
            self._answer(int(fault))


@contextmanager
def tus_server() -> Iterator[TusServer]:
    """The server, for as long as the block lasts."""
    with TusServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
