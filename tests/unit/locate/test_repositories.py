"""Package repositories as places, on loopback: which packages are fetched, what is checked, what is not believed."""

import bz2
import gzip
import hashlib
import lzma
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from corebox.coredump.core import CoreFile, open_core
from corebox.errors import HostError, InputError
from corebox.locate.places import SymbolOptions, open_places
from corebox.locate.repositories.decompress import blocks_of_lines, pieces
from corebox.locate.repositories.download import Downloads
from corebox.locate.wantedfiles import WantedFiles
from corebox.store.store import Store
from tests.support.elfwriter import Format, module, write_core_of
from tests.support.packages import Files, StandInKey, deb, publish_rpm_md, write_programs
from tests.support.repositories import SUITE, Server, publish_apk, publish_apt, serving
from tests.support.searching import fails, recover
from tests.unit.gather.sites import elf_with_sections

LIBC, TOOL = "/usr/lib/x/libc.so.6", "/usr/bin/tool"
IDS = {LIBC: b"\x01" * 20, TOOL: b"\x02" * 20}
FORM = Format()
MAPPED = {name: module(FORM, build_id, code=b"code") for name, build_id in IDS.items()}
OTHER = module(FORM, b"\x03" * 20)
CONTENTS = {LIBC: "libc6", TOOL: "tool", "/usr/lib/os-release": "base-files", "/usr/share/doc/x": "doc"}


@pytest.fixture(autouse=True)
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StandInKey:
    """The one that this machine trusts."""
    made = StandInKey(tmp_path)
    monkeypatch.setenv("PATH", write_programs(tmp_path / "programs"))
    monkeypatch.setenv("COREBOX_KEYRINGS", f"{made.public}:{made.keyring}")
    return made


@pytest.fixture
def core(tmp_path: Path) -> Iterator[CoreFile]:
    """A core with a program and a C library."""
    with open_core(str(write_core_of(tmp_path / "core", FORM, MAPPED))) as opened:
        yield opened


def put_deb(folder: Path, name: str, version: str, files: Files) -> None:
    (folder / "pool").mkdir(parents=True, exist_ok=True)
    (folder / f"pool/{name}_{version}_amd64.deb").write_bytes(deb(name, version, files))


@pytest.fixture
def apt(tmp_path: Path, key: StandInKey) -> Iterator[Server]:
    """A repository with both packages."""
    folder = tmp_path / "apt"
    put_deb(folder, "libc6", "2.36", {LIBC: MAPPED[LIBC]})
    put_deb(folder, "tool", "1.0", {TOOL: MAPPED[TOOL]})
    put_deb(folder, "base-files", "1", {"/usr/lib/os-release": b'ID=debian\nPRETTY_NAME="Debian 99 (test)"\n'})
    publish_apt(folder, key, CONTENTS)  # type: ignore[arg-type]  # it signs as a real one does
    with serving(folder) as server:
        yield server


# apt


def test_apt_leads_from_paths_to_packages_to_files(core: CoreFile, tmp_path: Path, apt: Server) -> None:
    place = f"{apt.url}/{SUITE}"
    found = recover(core, tmp_path, place)
    assert not found.gaps
    assert (tmp_path / "root" / LIBC[1:]).read_bytes() == MAPPED[LIBC]
    assert found.origins[LIBC][:3] == (place, "libc6", "2.36")
    assert found.origins[LIBC].url == f"{apt.url}/pool/libc6_2.36_amd64.deb"
    assert found.origins["/usr/lib/os-release"].package == "base-files"
    assert not [path for path, _ in apt.asked if "doc" in path]
    apt.asked.clear()
    assert not recover(core, tmp_path, place).gaps
    assert apt.asked == [(f"/{SUITE}/InRelease", 304)], "what is known is not fetched again"
    apt.answers[f"/{SUITE}/InRelease"] = "http://127.0.0.1:9/"
    assert not recover(core, tmp_path, place).gaps, "a server that does not answer is as it was"


def test_another_build_is_told_with_its_version(core: CoreFile, tmp_path: Path, apt: Server, key: StandInKey) -> None:
    (apt.folder / "pool/tool_1.0_amd64.deb").unlink()
    put_deb(apt.folder, "tool", "2.0", {TOOL: OTHER})
    publish_apt(apt.folder, key, {LIBC: "libc6", TOOL: "tool"})  # type: ignore[arg-type]
    (gap,) = recover(core, tmp_path, f"{apt.url}/{SUITE}").gaps
    assert [(each.origin.version, each.build_id) for each in gap.refused] == [("2.0", "03" * 20)]


def test_debug_files_come_by_build_id(tmp_path: Path, apt: Server, key: StandInKey) -> None:
    build_id = IDS[TOOL].hex()
    name = f"/usr/lib/debug/.build-id/{build_id[:2]}/{build_id[2:]}.debug"
    debug = elf_with_sections(build_id, {".debug_info": b"x"})
    put_deb(apt.folder, "tool-dbgsym", "1.0", {name: debug})
    publish_apt(apt.folder, key, {}, {"tool-dbgsym": f"{'ff' * 20} {build_id}"})  # type: ignore[arg-type]
    store = Store(tmp_path / "home")
    places = open_places(SymbolOptions((f"{apt.url}/{SUITE}",)), store, {}, print, lambda _: None)
    found = places.sources[0].find(WantedFiles(frozenset([build_id])))
    assert found[build_id].read_bytes() == debug


@pytest.mark.parametrize(
    ("change", "code", "says"),
    [
        (lambda data: data.replace(b"Codename: stable", b"Codename: stabel"), "bad-signature", "not right"),
        (lambda data: data.replace(b"test ", b"stranger ", 1), "bad-signature", "not known here"),
        (lambda data: b"", "bad-signature", ""),
    ],
    ids=["changed", "an unknown key", "empty"],
)
def test_an_index_is_believed_if_it_is_signed(
    core: CoreFile,
    tmp_path: Path,
    apt: Server,
    change: Callable[[bytes], bytes],
    code: str,
    says: str,
) -> None:
    apt.answers[f"/{SUITE}/InRelease"] = change((apt.folder / SUITE / "InRelease").read_bytes())
    error = fails(core, tmp_path, f"{apt.url}/{SUITE}")
    assert error.code == code
    assert says in error.message


def test_without_the_program_that_checks_nothing_is_believed(
    core: CoreFile, tmp_path: Path, apt: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert fails(core, tmp_path, f"{apt.url}/{SUITE}").code == "no-gpgv"


def test_an_index_elsewhere_by_its_digest(core: CoreFile, tmp_path: Path, apt: Server, key: StandInKey) -> None:
    """Acquire-By-Hash: a mirror in the middle of an update has both."""
    release = (apt.folder / SUITE / "InRelease").read_bytes().partition(b"\n")[2]
    (apt.folder / SUITE / "InRelease").write_bytes(
        key.sign(release.replace(b"SHA256:", b"Acquire-By-Hash: yes\nSHA256:"))
    )
    packages = apt.folder / SUITE / "main/binary-amd64"
    digest = hashlib.sha256((packages / "Packages.gz").read_bytes()).hexdigest()
    (packages / "by-hash/SHA256").mkdir(parents=True)
    (packages / "Packages.gz").rename(packages / "by-hash/SHA256" / digest)
    assert not recover(core, tmp_path, f"{apt.url}/{SUITE}").gaps


def test_a_package_that_was_changed_is_refused(core: CoreFile, tmp_path: Path, apt: Server) -> None:
    path = "/pool/tool_1.0_amd64.deb"
    data = (apt.folder / path[1:]).read_bytes()
    apt.answers[path] = data[:-1] + bytes([data[-1] ^ 1])
    assert fails(core, tmp_path, f"{apt.url}/{SUITE}").code == "bad-repository"


def test_a_package_that_is_gone_is_told_and_passed_over(core: CoreFile, tmp_path: Path, apt: Server) -> None:
    (apt.folder / "pool/tool_1.0_amd64.deb").unlink()
    told: list[str] = []
    (gap,) = recover(core, tmp_path, f"{apt.url}/{SUITE}", told).gaps
    assert gap.wanted.names[0] == TOOL
    assert told == [f"{apt.url}/{SUITE}: {apt.url}/pool/tool_1.0_amd64.deb is in the index, but not in the repository"]


@pytest.mark.parametrize("target", ["http://127.0.0.1:{port}/round", "file:///etc/passwd", "ftp://127.0.0.1/x"])
def test_redirects_are_bounded(core: CoreFile, tmp_path: Path, apt: Server, target: str) -> None:
    to = target.replace("{port}", apt.url.rpartition(":")[2])
    apt.answers |= {"/round": to, f"/{SUITE}/InRelease": to}
    assert fails(core, tmp_path, f"{apt.url}/{SUITE}").code == "repository-unreachable"


def test_a_flat_repository_has_no_components(core: CoreFile, tmp_path: Path, key: StandInKey) -> None:
    folder = tmp_path / "flat"
    put_deb(folder, "tool", "1.0", {TOOL: MAPPED[TOOL], LIBC: MAPPED[LIBC]})
    publish_apt(folder, key, {TOOL: "tool", LIBC: "tool"})  # type: ignore[arg-type]
    rows = []
    for name, source in (("Packages.gz", "binary-amd64/Packages.gz"), ("Contents-amd64.gz", "Contents-amd64.gz")):
        data = (folder / SUITE / "main" / source).read_bytes()
        (folder / name).write_bytes(data)
        rows.append(f" {hashlib.sha256(data).hexdigest()} {len(data)} {name}\n")
    (folder / "InRelease").write_bytes(key.sign(("Origin: x\nSHA256:\n" + "".join(rows)).encode()))
    with serving(folder) as server:
        found = recover(core, tmp_path, server.url)
    assert not found.gaps
    assert found.origins[TOOL][:3] == (server.url, "tool", "1.0")


def test_a_package_is_not_fetched_from_elsewhere(core: CoreFile, tmp_path: Path, apt: Server, key: StandInKey) -> None:
    path = apt.folder / SUITE / "main/binary-amd64/Packages.gz"
    text = gzip.decompress(path.read_bytes()).replace(b"Filename: pool/", b"Filename: http://evil.example/")
    path.write_bytes(gzip.compress(text))
    release = (apt.folder / SUITE / "InRelease").read_bytes().partition(b"\n")[2].splitlines()
    row = f" {hashlib.sha256(path.read_bytes()).hexdigest()} {path.stat().st_size} main/binary-amd64/Packages.gz"
    lines = [row.encode() if line.endswith(b"Packages.gz") else line for line in release]
    (apt.folder / SUITE / "InRelease").write_bytes(key.sign(b"\n".join(lines) + b"\n"))
    error = fails(core, tmp_path, f"{apt.url}/{SUITE}")
    assert error.code == "bad-repository"
    assert "evil.example" in error.message


def test_a_name_of_a_distribution_is_its_suites(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def ask(_self: Downloads, url: str, _most: int) -> None:
        asked.append(url)

    monkeypatch.setattr(Downloads, "latest", ask)
    for place in ("debian:12", "ubuntu:24.04"):
        places = open_places(SymbolOptions((place,)), Store(tmp_path / "home"), {}, print, lambda _: None)
        with pytest.raises(InputError):
            places.sources[0].find(WantedFiles(frozenset(["ab" * 20])))
    assert asked[0] == "http://deb.debian.org/debian/dists/bookworm/InRelease"
    assert "http://archive.ubuntu.com/ubuntu/dists/noble-updates/InRelease" in asked


def test_a_server_of_something_else_is_no_repository_and_not_asked_again(tmp_path: Path, apt: Server) -> None:
    store = Store(tmp_path / "home")
    for _ in range(2):
        places = open_places(SymbolOptions((f"{apt.url}/elsewhere",)), store, {}, print, lambda _: None)
        assert places.servers is not None, "it is taken for a debuginfod server"
    assert [path for path, _ in apt.asked] == [
        "/elsewhere/repodata/repomd.xml", "/elsewhere/APKINDEX.tar.gz", "/elsewhere/InRelease",
    ]  # fmt: skip


# rpm-md

NO_LIST = b"""<repomd><data type="other"><checksum type="sha256">00</checksum><location href="x"/></data></repomd>"""


@pytest.mark.parametrize("algorithm", ["sha256", "sha512", "sha1"])
def test_rpm_md_leads_from_paths_to_packages_to_files(core: CoreFile, tmp_path: Path, algorithm: str) -> None:
    publish_rpm_md(tmp_path / "rpm", {"tool": MAPPED, "doc": {"/usr/share/doc/x": b"text"}}, algorithm)
    told: list[str] = []
    with serving(tmp_path / "rpm") as server:
        found = recover(core, tmp_path, server.url, told)
        assert not found.gaps
        assert found.origins[TOOL][:3] == (server.url, "tool", "2:1.0-1")
        assert "/doc.rpm" not in [path for path, _ in server.asked]
        assert told == [f"{server.url}: its index is not signed; the core proves each file that is taken"]


def test_a_signed_rpm_md_is_checked(core: CoreFile, tmp_path: Path, key: StandInKey) -> None:
    publish_rpm_md(tmp_path / "rpm", {"tool": MAPPED})
    index = tmp_path / "rpm/repodata/repomd.xml"
    signature = tmp_path / "rpm/repodata/repomd.xml.asc"
    signature.write_bytes(key.detached(index.read_bytes()))
    with serving(tmp_path / "rpm") as server:
        assert not recover(core, tmp_path, server.url).gaps
    signature.write_bytes(key.detached(b"another"))
    with serving(tmp_path / "rpm") as server:
        assert fails(core, tmp_path, server.url).code == "bad-signature"


@pytest.mark.parametrize(
    ("path", "answer", "says"),
    [
        ("/repodata/primary.xml.gz", b"<metadata/>", "not what the index says"),
        ("/repodata/repomd.xml", b'<!DOCTYPE x [<!ENTITY a "aaaa">]><repomd>&a;</repomd>', "document type"),
        ("/repodata/repomd.xml", b"<repomd><data", "damaged"),
        ("/repodata/repomd.xml", b"<a>" * 40, "nested too deeply"),
        ("/repodata/repomd.xml", NO_LIST, "no list"),
        ("/tool.rpm", b"another", "not what the index says"),
    ],
)
def test_what_is_wrong_with_rpm_md_is_told(core: CoreFile, tmp_path: Path, path: str, answer: bytes, says: str) -> None:
    publish_rpm_md(tmp_path / "rpm", {"tool": MAPPED})
    with serving(tmp_path / "rpm") as server:
        server.answers[path] = answer
        error = fails(core, tmp_path, f"{server.url}/repodata/repomd.xml")
    assert error.code == "bad-repository"
    assert says in error.message


# apk


class ApkKey:
    """As ``publish_apk`` wants it."""

    def __init__(self, key: StandInKey) -> None:
        self.sign = key.sign_apk


def publish(folder: Path, key: StandInKey) -> Path:
    publish_apk(folder, ApkKey(key), "tool", MAPPED, "so:libc.so.6=6 cmd:tool=1.0-r0")  # type: ignore[arg-type]
    return folder


def test_apk_leads_from_commands_and_libraries_to_packages(core: CoreFile, tmp_path: Path, key: StandInKey) -> None:
    with serving(publish(tmp_path / "apk", key)) as server:
        found = recover(core, tmp_path, server.url)
    assert not found.gaps
    assert found.origins[TOOL][:3] == (server.url, "tool", "1.0-r0")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda index: index + gzip.compress(b"more"), "bad-signature"),
        (lambda index: gzip.compress(b""), "bad-signature"),
        (lambda index: index[:-20], "bad-repository"),
        (lambda index: b"nonsense", "bad-repository"),
    ],
    ids=["more", "unsigned", "cut", "nonsense"],
)
def test_an_index_of_apk_is_believed_if_it_is_signed(
    core: CoreFile,
    tmp_path: Path,
    key: StandInKey,
    change: Callable[[bytes], bytes],
    code: str,
) -> None:
    with serving(publish(tmp_path / "apk", key)) as server:
        server.answers["/APKINDEX.tar.gz"] = change((tmp_path / "apk/APKINDEX.tar.gz").read_bytes())
        assert fails(core, tmp_path, server.url).code == code


def test_a_package_of_apk_that_was_changed_is_refused(core: CoreFile, tmp_path: Path, key: StandInKey) -> None:
    with serving(publish(tmp_path / "apk", key)) as server:
        package = (tmp_path / "apk/tool-1.0-r0.apk").read_bytes()
        for changed in (package[:-9] + bytes([package[-9] ^ 1]) + package[-8:], package[:40], b""):
            server.answers["/tool-1.0-r0.apk"] = changed
            assert fails(core, tmp_path, server.url).code == "bad-repository"


def test_a_key_of_apk_must_be_known(core: CoreFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(publish(tmp_path / "apk", StandInKey(tmp_path, "stranger"))) as server:
        error = fails(core, tmp_path, server.url)
        assert error.code == "bad-signature"
        assert "stranger.rsa.pub" in error.message
        monkeypatch.setenv("PATH", "/nowhere")
        assert fails(core, tmp_path, server.url).code == "no-openssl"


# What comes over the network


@pytest.mark.parametrize("status", [500, 418])
def test_an_answer_that_is_none_is_an_error(tmp_path: Path, apt: Server, status: int) -> None:
    downloads = Downloads(Store(tmp_path / "home"))
    assert downloads.latest(f"{apt.url}/nothing", 100) is None
    with pytest.raises(HostError) as raised:
        downloads.latest(f"{apt.url}/{SUITE}/InRelease", 10)
    assert "larger than 10 bytes" in raised.value.message
    assert downloads.received == 0


@pytest.mark.parametrize("compress", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_an_index_is_read_in_whatever_form_it_comes(tmp_path: Path, compress: Callable[[bytes], bytes]) -> None:
    text = b"".join(b"line %d\n" % number for number in range(100_000))
    path = tmp_path / "index"
    path.write_bytes(compress(text))
    assert b"".join(pieces(path)) == text
    blocks = list(blocks_of_lines(path))
    assert b"".join(blocks) == text
    assert all(block.endswith(b"\n") for block in blocks)
    if compress is not bytes:
        path.write_bytes(compress(text)[:-5])
        with pytest.raises(InputError, match="cannot be decompressed"):
            list(pieces(path))


def test_members_of_gzip_follow_each_other(tmp_path: Path) -> None:
    path = tmp_path / "index"
    path.write_bytes(gzip.compress(b"a\n") + gzip.compress(b"b\n"))
    assert b"".join(pieces(path)) == b"a\nb\n"


def test_a_bomb_and_an_endless_line_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "index"
    path.write_bytes(gzip.compress(bytes(1 << 22)))
    with pytest.raises(InputError, match="a line of an index is longer"):
        list(blocks_of_lines(path))
    monkeypatch.setattr("corebox.locate.repositories.decompress.MAX_SIZE", 1 << 20)
    with pytest.raises(InputError, match="when decompressed"):
        list(pieces(path))
