"""A blob of the store that rots, and a registry that dies or talks nonsense."""

import http.server
import random
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from corebox.store.store import Store
from tests.support.aftermath import Desk, tries
from tests.support.bench import Bench
from tests.support.registry import Registry, running

REFUSED = (3, 4)  # bad input, or a machine that lacks something; never 5, a bug
DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "a bit": lambda data: data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 1]) + data[len(data) // 2 + 1 :],
    "cut": lambda data: data[: len(data) // 2],
    "empty": lambda _: b"",
}


#: Each try makes the toolbox anew, which takes seconds: CI has two of them.
ROTTEN = [
    *(("shell", "a bit"), ("push", "cut")),
    *(("shell", "cut"), ("push", "a bit"), ("shell", "empty"), ("push", "empty")),
]


@pytest.mark.parametrize(("command", "damage"), ROTTEN[: tries(2)])
def test_a_blob_that_rots(bench: Bench, command: str, damage: str) -> None:
    """It is found when it is used, never used as it is, and made again by the build that the hint names."""
    if command == "shell":  # what was built here has its core unpacked, not by way of the layer
        verb = replace(bench.verb("shell"), words=("shell", "old", *bench.verb("shell").words[2:]))
    else:
        verb = bench.verb("push")
    desk = Desk.lay(bench.folder / "desk", bench.seed, verb)
    (image,) = Store(desk.lab.home).images()
    expected = desk.undisturbed()
    for digest in (image.manifest_digest, image.image_id, *(layer.digest for layer in image.layers)):
        bench.forget_pushed()
        desk = Desk.lay(bench.folder / "desk", bench.seed, verb)
        shutil.rmtree(desk.lab.home / "roots")
        blob = Store(desk.lab.home).blob_path(digest)
        data = blob.read_bytes()
        blob.unlink()  # it is a hard link
        blob.write_bytes(DAMAGES[damage](data))
        done = desk.run()
        assert (done.status, "damaged" in done.errors) == (3, True), done.errors
        if "prune" in done.errors:
            desk.lab.done("prune")
        desk.lab.build(bench.core.parents[1] / "old/x.corebox", "-t", "old")
        assert blob.read_bytes() == data
        shutil.rmtree(desk.lab.home / "roots")
        bench.forget_pushed()
        done = desk.run()
        assert done.status == 0, done.errors
        assert verb.essence(desk, done) == expected.essence


class Nonsense(http.server.BaseHTTPRequestHandler):
    """Answers every request by the next random bytes: of a status, headers and a body that fit nothing."""

    chance = random.Random(0)

    def answer(self) -> None:
        status = self.chance.choice((200, 200, 200, 201, 202, 206, 302, 400, 401, 404, 500, 503, 999))
        body = self.chance.choice((b"", b"{", b"[]", b'{"schemaVersion":2}', self.chance.randbytes(5000)))
        body = self.chance.choice((body, b'{"config":{"digest":"sha256:0","size":-1},"layers":[{}],"manifests":3}'))
        self.send_response_only(status)
        for name, value in (
            ("Location", self.chance.choice(("", "/v2/", "http://127.0.0.1:1/", "file:///etc/passwd", "::"))),
            ("WWW-Authenticate", self.chance.choice(("", "Bearer", 'Bearer realm="x"', "Basic", "Nonsense a=b"))),
            ("Content-Type", self.chance.choice(("text/html", "application/vnd.oci.image.index.v1+json"))),
            ("Range", "x-y"),
            ("Content-Length", str(max(0, len(body) + self.chance.choice((0, 0, 7, -3))))),
        ):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = answer  # noqa: N815  # the base class's names

    def log_message(self, *_: object) -> None:
        """Be quiet."""


@pytest.fixture(scope="module")
def nonsense() -> Iterator[str]:
    """The address of a registry that talks nonsense."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Nonsense)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("command", ["push", "pull"])
def test_a_registry_that_talks_nonsense(bench: Bench, nonsense: str, command: str) -> None:
    expected = bench.outcome(command)
    words = {"push": ("push", "old", f"{nonsense}/a/b:1"), "pull": ("pull", f"{nonsense}/a/b:1")}[command]
    for _ in range(tries(6)):
        desk = bench.lay(command)
        done = desk.lab.corebox(*words)
        assert done.status in REFUSED, done.errors
        assert "Traceback" not in done.errors
        if command == "push":
            shutil.rmtree(desk.lab.home)  # layers that were compressed stay for the next push
            desk = bench.lay(command)
        desk.must_be_whole(expected)


@pytest.mark.parametrize("command", ["push", "pull"])
def test_a_registry_that_is_killed(bench: Bench, tmp_path: Path, command: str) -> None:
    """For good: the command gives up in its own words; test_registry_interrupted.py has one that comes back."""
    expected, chance = bench.outcome(command), random.Random(command)
    for number in range(tries(1)):
        copy = Registry(tmp_path / f"registry{number}")
        shutil.copytree(bench.registry.folder / "data", copy.folder / "data")
        desk = bench.lay(command)
        words = [word.replace(bench.registry.host, copy.host) for word in desk.words]
        with running(copy):
            timer = threading.Timer(chance.uniform(0.25, 0.6), copy.kill)
            timer.start()
            done = desk.lab.corebox(*words)
            timer.join()
        assert (done.status, "cannot reach" in done.errors) in ((4, True), (0, False)), done.errors
        desk = bench.lay(command) if done.status == 0 or command == "push" else desk
        # Where layers are is noted for the registry that sent them: the killed one, as far as it came.
        desk.must_be_whole(expected, but="home/records/registry")
