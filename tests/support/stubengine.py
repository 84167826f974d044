"""Docker Engine's API in the test's own process, on a Unix socket: what the docker SDK and corebox ask of it.

Its containers run nothing. What a command would write is decided by the test (``programs``), and a program called
``docker``, first on the PATH, hands it on, as the real one does for ``docker start --attach``.
"""

import base64
import hashlib
import io
import json
import os
import re
import socketserver
import sys
import tarfile
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from corebox.engine.sandbox import Finished
from tests.support.serving import Handler, Threaded, running

#: What the client does: it asks the engine to start the container, and becomes what that writes.
_CLIENT = """#!{python} -IS
import base64, json, socket, sys
address, container = sys.argv[2], sys.argv[-1]
data = sys.stdin.buffer.read() if "--interactive" in sys.argv and {reads} else b""
with socket.socket(socket.AF_UNIX) as engine:
    engine.connect(address[len("unix://"):])
    head = "POST /stub/start/%s HTTP/1.0\\r\\nContent-Length: %d\\r\\n\\r\\n" % (container, len(data))
    engine.sendall(head.encode() + data)
    answer = b"".join(iter(lambda: engine.recv(65536), b"")).partition(b"\\r\\n\\r\\n")[2]
done = json.loads(answer)
sys.stdout.buffer.write(base64.b64decode(done["output"]))
sys.stderr.buffer.write(base64.b64decode(done["errors"]))
sys.exit(done["status"])
"""
#: What the trial of an engine expects (corebox/engine/trial.py).
TRIAL = Finished(42, b"", b"")

Program = Callable[[list[str], bytes], Finished]


@dataclass
class StubEngine:
    """What the engine has, what it was asked, and how it answers.

    Attributes:
        folder: where its socket is, and the client.
        info: what it says about itself.
        images: the document of each image by its ID.
        names: the ID of each name.
        containers: the request of each container that was not removed, by its ID.
        created: all requests for containers that there were.
        loaded: the names in each archive that it was sent.
        built: the names in each context that it was sent.
        refuses: paths that it answers with an error, and what that says.
        program: what the commands of containers write.
    """

    folder: Path
    info: dict[str, Any] = field(default_factory=lambda: {"MemoryLimit": True, "CgroupVersion": "2"})
    images: dict[str, dict[str, Any]] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    containers: dict[str, dict[str, Any]] = field(default_factory=dict)
    created: list[dict[str, Any]] = field(default_factory=list)
    loaded: list[list[str]] = field(default_factory=list)
    built: list[list[str]] = field(default_factory=list)
    saved: dict[str, bytes] = field(default_factory=dict)
    refuses: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    podman: bool = False
    program: Program = lambda _command, _data: Finished(0, b"", b"")

    @property
    def address(self) -> str:
        """For DOCKER_HOST and CONTAINER_HOST."""
        return f"unix://{self.folder}/engine.sock"

    def environment(self, name: str = "docker") -> dict[str, str]:
        """What makes corebox use it, and no other."""
        nobody = f"unix://{self.folder}/nobody.sock"
        ours, other = ("CONTAINER_HOST", "DOCKER_HOST") if name == "podman" else ("DOCKER_HOST", "CONTAINER_HOST")
        return {ours: self.address, other: nobody, "PATH": f"{self.folder}:{os.environ['PATH']}"}

    def write_client(self, reads: bool = True) -> None:
        """The programs ``docker`` and ``podman``."""
        for name in ("docker", "podman"):
            (self.folder / name).write_text(_CLIENT.format(python=sys.executable, reads=reads))
            (self.folder / name).chmod(0o755)

    def become(self, script: str) -> None:
        """Have the programs be this Python script, with our streams: a conversation."""
        for name in ("docker", "podman"):
            (self.folder / name).write_text(f"#!{sys.executable} -IS\n{script}")

    def put_image(self, name: str, layers: list[str] | None = None) -> str:
        """An image of these layers, called so; its ID."""
        image = "sha256:" + hashlib.sha256(f"{name} {layers}".encode()).hexdigest()
        self.images[image] = {"Id": image, "RootFS": {"Layers": layers or []}, "RepoTags": [name]}
        self.names[name] = image
        return image

    def commands(self) -> list[list[str]]:
        """The commands of all containers, but for trials of the engine."""
        return [each["Cmd"] for each in self.created if each["Cmd"] != ["/.corebox/trial"]]


class _Server(Threaded, socketserver.UnixStreamServer):
    pass


class _Handler(Handler):
    engine: StubEngine

    def address_string(self) -> str:
        return "a socket"

    def do_GET(self) -> None:  # noqa: N802  # http.server's name
        with suppress(ConnectionError):
            url = urllib.parse.urlsplit(self.path)
            path = re.sub(r"^/v[0-9.]+", "", url.path)
            query = dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))
            body = self._body()
            self.engine.asked.append((self.command, path))
            refused = next((words for part, words in self.engine.refuses.items() if part in path), None)
            if refused is not None:
                self._say({"message": refused}, 500)
                return
            self._route(path, query, body)

    do_POST = do_DELETE = do_HEAD = do_GET  # noqa: N815  # http.server's names

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        pieces = []
        while size := int(self.rfile.readline(), 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(pieces)

    def _say(self, document: Any, status: int = 200, data: bytes | None = None) -> None:
        body = json.dumps(document).encode() if data is None else data
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")  # the SDK's connections are closed by nobody
        if self.engine.podman:
            self.send_header("Libpod-API-Version", "4.3.1")
        self.end_headers()
        self.wfile.write(body)

    def _route(self, path: str, query: Mapping[str, str], body: bytes) -> None:
        fixed: dict[str, Any] = {"/_ping": "OK", "/version": {"ApiVersion": "1.41"}, "/info": self.engine.info}
        if path in fixed:
            self._say(fixed[path])
        elif path.startswith("/containers"):
            self._container(path, query, body)
        elif path.startswith("/stub/start/"):
            self._start(path.rpartition("/")[2], body)
        elif path == "/build":
            self._build(query, body)
        else:
            self._image(path, query, body)

    # Containers

    def _container(self, path: str, query: Mapping[str, str], body: bytes) -> None:
        engine, container = self.engine, path.split("/")[2]
        if path == "/containers/json":
            label = json.loads(query.get("filters", "{}")).get("label", [])
            self._say([each for each in map(self._row, engine.containers) if set(label) <= set(each["Labels"])])
        elif path == "/containers/create":
            asked = json.loads(body)
            if engine.names.get(asked["Image"], asked["Image"]) not in engine.images:
                self._say({"message": f"No such image: {asked['Image']}"}, 404)
                return
            engine.created.append(asked)
            name = f"{len(engine.created):064x}"
            engine.containers[name] = asked
            self._say({"Id": name, "Warnings": []}, 201)
        elif self.command == "DELETE":
            found = engine.containers.pop(container, None)
            self._say({"message": "" if found else "No such container"}, 204 if found else 404, b"" if found else None)
        else:
            self._say({"message": "unknown"}, 404)

    def _row(self, container: str) -> dict[str, Any]:
        asked = self.engine.containers[container]
        image = self.engine.names.get(asked["Image"], asked["Image"])
        return {"Id": container, "ImageID": image, "Labels": asked.get("Labels") or {}}

    def _start(self, container: str, data: bytes) -> None:
        command = self.engine.containers[container]["Cmd"]
        done = TRIAL if command == ["/.corebox/trial"] else self.engine.program(command, data)
        streams = {"output": done.output, "errors": done.errors}
        said = {name: base64.b64encode(stream).decode() for name, stream in streams.items()}
        self.close_connection = True
        self._say({"status": done.status, **said})

    # Images

    def _image(self, path: str, query: Mapping[str, str], body: bytes) -> None:
        engine = self.engine
        if path == "/images/json":
            self._say(list(engine.images.values()))
        elif path == "/images/create":
            name = query["repo"]
            self._say({"status": engine.put_image(name if ":" in name else f"{name}:latest")})
            engine.names[name] = engine.names[f"{name}:latest"]
        elif path == "/images/load":
            engine.loaded.append(_names(body))
            for name, layers in _images(body):
                engine.put_image(name, layers)
            self._say({"stream": "Loaded image"})
        else:
            self._one_image(path, query)

    def _one_image(self, path: str, query: Mapping[str, str]) -> None:
        engine = self.engine
        match = re.fullmatch(r"/images/(.+?)(/json|/get|/tag)?", path)
        name, what = (urllib.parse.unquote(match[1]), match[2]) if match else ("", None)
        image = engine.names.get(name, name)
        if image not in engine.images:
            self._say({"message": f"No such image: {name}"}, 404)
        elif what == "/json":
            self._say(engine.images[image])
        elif what == "/get":
            self._say(None, data=engine.saved.get(name, b""))
        elif what == "/tag":
            name = query["repo"] if ":" in query["repo"] else f"{query['repo']}:{query.get('tag', 'latest')}"
            engine.names[name] = image
            self._say(None, 201)
        else:
            engine.names = {each: found for each, found in engine.names.items() if found != image}
            del engine.images[image]
            self._say([{"Deleted": image}])

    def _build(self, query: Mapping[str, str], body: bytes) -> None:
        self.engine.built.append(_names(body))
        image = self.engine.put_image(query["t"])
        lines = [{"stream": "Step 1/1 : FROM scratch\n"}, {"stream": f"Successfully built {image[7:19]}\n"}]
        self.engine.names[image[7:19]] = image
        self._say(None, data=b"".join(json.dumps(line).encode() + b"\r\n" for line in lines))


def _names(archive: bytes) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return sorted(tar.getnames())


def _images(archive: bytes) -> Iterator[tuple[str, list[str]]]:
    """The first name of each image in a Docker archive, and its layers."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        if "manifest.json" not in tar.getnames():
            return
        manifest = tar.extractfile("manifest.json")
        assert manifest
        for each in json.load(manifest):
            yield each["RepoTags"][0], ["sha256:" + layer.rpartition("/")[2] for layer in each["Layers"]]


@contextmanager
def stub_engine(folder: Path) -> Iterator[StubEngine]:
    """An engine for the length of the block; ``folder`` must have a short name (unix(7), sun_path)."""
    engine = StubEngine(folder)
    engine.write_client()
    handler = type("Handler", (_Handler,), {"engine": engine})

    with running(_Server(str(folder / "engine.sock"), handler)):
        yield engine
