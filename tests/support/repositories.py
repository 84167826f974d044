"""Package repositories of our own, on loopback: apt with a key of its own, rpm-md by createrepo_c, apk by hand."""

import base64
import hashlib
import subprocess
import threading
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.support.packages import tar

SUITE = "dists/stable"


@dataclass
class Server:
    """Serves a folder; ``hook`` may answer a path otherwise: with bytes, or with the URL to go to."""

    url: str
    folder: Path
    asked: list[tuple[str, int]] = field(default_factory=list)
    answers: dict[str, bytes | str] = field(default_factory=dict)


@contextmanager
def serving(folder: Path) -> Iterator[Server]:
    """A server of the folder that says a validator of each file, as real ones do."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body, headers = self._answer()
            server.asked.append((self.path, status))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _answer(self) -> tuple[int, bytes, dict[str, str]]:
            given = server.answers.get(self.path)
            if isinstance(given, str):
                return 302, b"", {"Location": given}
            path = folder / self.path[1:]
            if given is None and not path.is_file():
                return 404, b"", {}
            body = given if given is not None else path.read_bytes()
            tag = f'"{hashlib.sha256(body).hexdigest()}"'
            if self.headers.get("If-None-Match") == tag:
                return 304, b"", {}
            return 200, body, {"ETag": tag}

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        server = Server(f"http://127.0.0.1:{listening.server_port}", folder)
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield server
        listening.shutdown()


class Key:
    """A key that signs an apt repository; ``public`` is what its users have."""

    def __init__(self, folder: Path) -> None:
        self._home = folder / "gnupg"
        self._home.mkdir(mode=0o700)
        self.public = folder / "key.gpg"
        self._gpg("--quick-gen-key", "--passphrase", "", "Repository <repository@example.org>", "rsa2048", "sign")
        self.public.write_bytes(self._gpg("--export"))

    def sign(self, text: bytes) -> bytes:
        """The text with its signature."""
        return self._gpg("--clearsign", data=text)

    def _gpg(self, *words: str, data: bytes = b"") -> bytes:
        command = ["gpg", "--homedir", str(self._home), "--batch", "--quiet", *words]
        return subprocess.run(command, input=data, check=True, capture_output=True).stdout


def make_deb(out: Path, name: str, version: str, tree: Path, script: str = "") -> Path:
    """A Debian package with the files of a folder, and a script that its installation would run."""
    control = tree / "DEBIAN"
    control.mkdir(parents=True, exist_ok=True)
    about = f"Package: {name}\nVersion: {version}\nArchitecture: amd64\nMaintainer: nobody\nDescription: a test\n"
    (control / "control").write_text(about)
    if script:
        (control / "preinst").write_text(script)
        (control / "preinst").chmod(0o755)
    out.mkdir(parents=True, exist_ok=True)
    package = out / f"{name}_{version}_amd64.deb"
    command = ["dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "--build", str(tree), str(package)]
    subprocess.run(command, check=True, capture_output=True)
    return package


def publish_apt(
    folder: Path, key: Key, contents: Mapping[str, str], build_ids: Mapping[str, str] | None = None
) -> None:
    """Make indexes of the packages in ``pool``; ``contents`` has the package of each path."""
    stanzas = []
    for package in sorted((folder / "pool").glob("*.deb")):
        name, version, _ = package.name.split("_")
        data = package.read_bytes()
        stanzas.append(
            f"Package: {name}\nVersion: {version}\nArchitecture: amd64\nFilename: pool/{package.name}\n"
            f"Size: {len(data)}\nSHA256: {hashlib.sha256(data).hexdigest()}\n"
            + (f"Build-Ids: {build_ids[name]}\n" if build_ids and name in build_ids else "")
            + "Description: a test\n of more lines\n"
        )
    lines = [f"{path[1:]:<60} utils/{name}" for path, name in sorted(contents.items())]
    files = {
        "main/binary-amd64/Packages.gz": _gzip("\n".join(stanzas).encode()),
        "main/Contents-amd64.gz": _gzip("".join(f"{line}\n" for line in lines).encode()),
    }
    rows = []
    for name, data in files.items():
        path = folder / SUITE / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        rows.append(f" {hashlib.sha256(data).hexdigest()} {len(data)} {name}")
    release = "Origin: Test\nCodename: stable\nComponents: main\nArchitectures: amd64\nSHA256:\n" + "\n".join(rows)
    (folder / SUITE / "InRelease").write_bytes(key.sign(f"{release}\n".encode()))


def publish_rpm(folder: Path, name: str, tree: Path) -> Path:
    """An rpm of the files of a folder, by rpmbuild, and its repository, by createrepo_c."""
    spec = folder / "test.spec"
    folder.mkdir(parents=True)
    listed = "\n".join(f"/{path.relative_to(tree)}" for path in sorted(tree.rglob("*")) if path.is_file())
    spec.write_text(
        f"Name: {name}\nVersion: 1.0\nRelease: 1\nEpoch: 2\nSummary: test\nLicense: MIT\n%description\ntest\n"
        f"%install\ncp -a {tree}/. %{{buildroot}}\n%pre\ntouch {folder}/ran\n%files\n{listed}\n"
    )
    defines = {"_topdir": folder / "build", "_build_id_links": "none", "__os_install_post": "%{nil}"}
    words = [word for key, value in defines.items() for word in ("--define", f"{key} {value}")]
    subprocess.run(["rpmbuild", "-bb", *words, str(spec)], check=True, capture_output=True)
    (package,) = (folder / "build").rglob("*.rpm")
    repository = folder / "repository"
    repository.mkdir()
    package.rename(repository / package.name)
    subprocess.run(["createrepo_c", str(repository)], check=True, capture_output=True)
    return repository


class ApkKey:
    """A key that signs an apk repository; ``public`` is what its users have."""

    def __init__(self, folder: Path) -> None:
        self._private = folder / "key.pem"
        self.public = folder / "test.rsa.pub"
        self._openssl("genrsa", "-out", str(self._private), "2048")
        self._openssl("rsa", "-in", str(self._private), "-pubout", "-out", str(self.public))

    def sign(self, data: bytes) -> bytes:
        """A gzip member with the signature of the data."""
        signature = self._openssl("dgst", "-sha1", "-sign", str(self._private), data=data)
        return _gzip(tar({f".SIGN.RSA.{self.public.name}": signature}, end=False))

    def _openssl(self, *words: str, data: bytes = b"") -> bytes:
        return subprocess.run(["openssl", *words], input=data, check=True, capture_output=True).stdout


def publish_apk(folder: Path, key: ApkKey, name: str, files: Mapping[str, bytes], provides: str) -> None:
    """A package of apk and the index of its repository."""
    data = _gzip(tar({path[1:]: content for path, content in files.items()}, end=False))
    info = f"pkgname = {name}\npkgver = 1.0-r0\ndatahash = {hashlib.sha256(data).hexdigest()}\n"
    control = _gzip(tar({".PKGINFO": info.encode(), ".pre-install": b"#!/bin/sh\nexit 1\n"}, end=False))
    folder.mkdir(parents=True)
    (folder / f"{name}-1.0-r0.apk").write_bytes(key.sign(control) + control + data)
    checksum = base64.b64encode(hashlib.sha1(control).digest()).decode()
    text = f"C:Q1{checksum}\nP:{name}\nV:1.0-r0\nA:x86_64\nS:{len(data)}\nT:a test\np:{provides}\n\n"
    index = _gzip(tar({"DESCRIPTION": b"test", "APKINDEX": text.encode()}, end=False))
    (folder / "APKINDEX.tar.gz").write_bytes(key.sign(index) + index)


def _gzip(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=31)
    return compressor.compress(data) + compressor.flush()
