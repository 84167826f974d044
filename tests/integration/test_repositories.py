"""Package repositories as places: what they sign is checked, what they send is bounded, and nothing of them is run."""

import gzip
import hashlib
import subprocess
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from corebox.coredump.core import CoreFile, open_core
from corebox.errors import CoreboxError
from corebox.locate.places import SymbolOptions, open_places
from corebox.locate.wantedfiles import WantedFiles
from corebox.store.store import Store
from tests.support.elfwriter import Format, module, write_core_of
from tests.support.repositories import (
    SUITE,
    ApkKey,
    Key,
    Server,
    make_deb,
    publish_apk,
    publish_apt,
    publish_rpm,
    serving,
)
from tests.support.searching import fails, recover
from tests.unit.gather.sites import elf_with_sections

LIBC, TOOL = "/usr/lib/x/libc.so.6", "/usr/bin/tool"
IDS = {LIBC: b"\x01" * 20, TOOL: b"\x02" * 20}
FORM = Format()
MAPPED = {name: module(FORM, build_id, code=b"code") for name, build_id in IDS.items()}
OTHER = module(FORM, b"\x03" * 20)


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Key:
    return Key(tmp_path_factory.mktemp("key"))


@pytest.fixture
def core(tmp_path: Path) -> Iterator[CoreFile]:
    """A core with a program and a C library."""
    with open_core(str(write_core_of(tmp_path / "core", FORM, MAPPED))) as opened:
        yield opened


@pytest.fixture
def apt(tmp_path: Path, key: Key, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A repository with both packages, of which one names its library as before the merge of /usr."""
    monkeypatch.setenv("COREBOX_KEYRINGS", str(key.public))
    folder = tmp_path / "apt"
    ran = f"#!/bin/sh\ntouch {tmp_path}/ran\n"
    make_deb(folder / "pool", "libc6", "2.36", tree(tmp_path / "libc", {LIBC[4:]: MAPPED[LIBC]}), ran)
    make_deb(folder / "pool", "tool", "1.0", tree(tmp_path / "tool", {TOOL: MAPPED[TOOL]}), ran)
    system = {"/usr/lib/os-release": b'ID=debian\nPRETTY_NAME="Debian 99 (test)"\n'}
    make_deb(folder / "pool", "base-files", "1", tree(tmp_path / "base", system))
    contents = {LIBC[4:]: "libc6", TOOL: "tool", "/usr/lib/os-release": "base-files", "/usr/share/doc/x": "doc"}
    publish_apt(folder, key, contents)
    with serving(folder) as server:
        yield server


def tree(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        path = Path(f"{folder}{name}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def test_apt_leads_from_paths_to_packages_to_files(core: CoreFile, tmp_path: Path, apt: Server) -> None:
    place = f"{apt.url}/{SUITE}"
    found = recover(core, tmp_path, place)
    assert not found.gaps
    assert (tmp_path / "root" / LIBC[1:]).read_bytes() == MAPPED[LIBC]
    origin = found.origins[LIBC]
    assert origin[:3] == (place, "libc6", "2.36")
    assert origin.url == f"{apt.url}/pool/libc6_2.36_amd64.deb"
    assert found.origins["/usr/lib/os-release"].package == "base-files"
    assert b"Debian 99" in (tmp_path / "root/usr/lib/os-release").read_bytes()
    assert not (tmp_path / "ran").exists(), "no script of a package is run"


def test_what_is_known_is_not_fetched_again(core: CoreFile, tmp_path: Path, apt: Server) -> None:
    recover(core, tmp_path, f"{apt.url}/{SUITE}")
    apt.asked.clear()
    recover(core, tmp_path, f"{apt.url}/{SUITE}")
    assert apt.asked == [(f"/{SUITE}/InRelease", 304)]
    store = Store(tmp_path / "home")
    before = sum(path.stat().st_size for path in (store.home / "cache").rglob("*") if path.is_file())
    assert before > 0
    assert store.plan_prune().freed == 0, "what was used now stays"


def test_a_repository_that_does_not_answer_is_used_as_it_was(core: CoreFile, tmp_path: Path, apt: Server) -> None:
    place = f"{apt.url}/{SUITE}"
    recover(core, tmp_path, place)
    apt.answers[f"/{SUITE}/InRelease"] = "http://127.0.0.1:9/"
    assert not recover(core, tmp_path, place).gaps


def test_another_build_in_the_archive_is_told_with_its_version(
    core: CoreFile, tmp_path: Path, apt: Server, key: Key
) -> None:
    (apt.folder / "pool/tool_1.0_amd64.deb").unlink()
    make_deb(apt.folder / "pool", "tool", "2.0", tree(tmp_path / "newer", {TOOL: OTHER}))
    publish_apt(apt.folder, key, {LIBC[4:]: "libc6", TOOL: "tool"})
    (gap,) = recover(core, tmp_path, f"{apt.url}/{SUITE}").gaps
    assert [(each.origin.version, each.build_id) for each in gap.refused] == [("2.0", "03" * 20)]


def test_debug_files_come_by_build_id(tmp_path: Path, apt: Server, key: Key) -> None:
    build_id = IDS[TOOL].hex()
    name = f"/usr/lib/debug/.build-id/{build_id[:2]}/{build_id[2:]}.debug"
    debug = elf_with_sections(build_id, {".debug_info": b"x"})
    make_deb(apt.folder / "pool", "tool-dbgsym", "1.0", tree(tmp_path / "debug", {name: debug}))
    publish_apt(apt.folder, key, {}, {"tool-dbgsym": f"{'ff' * 20} {build_id}"})
    store = Store(tmp_path / "home")
    places = open_places(SymbolOptions((f"{apt.url}/{SUITE}",)), store, {}, print, lambda _: None)
    found = places.sources[0].find(WantedFiles(frozenset([build_id])))
    assert found[build_id].read_bytes() == debug


def test_an_index_that_was_changed_is_refused(core: CoreFile, tmp_path: Path, apt: Server) -> None:
    signed = (apt.folder / SUITE / "InRelease").read_bytes()
    apt.answers[f"/{SUITE}/InRelease"] = signed.replace(b"Codename: stable", b"Codename: stabel")
    assert fails(core, tmp_path, f"{apt.url}/{SUITE}").code == "bad-signature"


def test_an_unknown_key_is_refused(
    core: CoreFile, tmp_path: Path, apt: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COREBOX_KEYRINGS")
    error = fails(core, tmp_path, f"{apt.url}/{SUITE}")
    assert error.code == "bad-signature"
    assert "key that is not known" in error.message


def test_a_package_that_was_changed_is_refused(core: CoreFile, tmp_path: Path, apt: Server) -> None:
    path = "/pool/tool_1.0_amd64.deb"
    data = (apt.folder / path[1:]).read_bytes()
    apt.answers[path] = data[:-1] + bytes([data[-1] ^ 1])
    assert fails(core, tmp_path, f"{apt.url}/{SUITE}").code == "bad-repository"


def test_contents_of_another_day_are_a_hint(core: CoreFile, tmp_path: Path, apt: Server) -> None:
    lines = f"{TOOL[1:]}  utils/tool\n{LIBC[1:]}  libs/libc6,libs/nothing\n"
    apt.answers[f"/{SUITE}/main/Contents-amd64.gz"] = gzip.compress(lines.encode())
    assert not recover(core, tmp_path, f"{apt.url}/{SUITE}").gaps


@pytest.mark.parametrize("target", ["http://127.0.0.1:{port}/round", "file:///etc/passwd", "ftp://127.0.0.1/x"])
def test_redirects_are_bounded(core: CoreFile, tmp_path: Path, apt: Server, target: str) -> None:
    to = target.replace("{port}", apt.url.rpartition(":")[2])
    apt.answers |= {"/round": to, f"/{SUITE}/InRelease": to}
    assert fails(core, tmp_path, f"{apt.url}/{SUITE}").code == "repository-unreachable"


@pytest.mark.parametrize("name", ["InRelease", "main/binary-amd64/Packages.gz"])
def test_what_is_larger_than_any_index_is_not_taken(
    core: CoreFile, tmp_path: Path, apt: Server, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("corebox.locate.repositories.apt._MAX_RELEASE_SIZE", 1 << 16)
    apt.answers[f"/{SUITE}/{name}"] = bytes(1 << 17)
    assert fails(core, tmp_path, f"{apt.url}/{SUITE}").code == "repository-unreachable"


def test_an_index_that_is_a_bomb_is_refused(
    core: CoreFile, tmp_path: Path, apt: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("corebox.locate.repositories.decompress.MAX_SIZE", 1 << 20)
    apt.answers[f"/{SUITE}/main/Contents-amd64.gz"] = gzip.compress(b"x y\n" * (1 << 20))
    assert fails(core, tmp_path, f"{apt.url}/{SUITE}").code == "bad-repository"


def test_rpm_md_leads_from_paths_to_packages_to_files(core: CoreFile, tmp_path: Path) -> None:
    files = tree(tmp_path / "tree", {**MAPPED, "/usr/share/doc/tool/README": b"text"})
    repository = publish_rpm(tmp_path / "rpm", "tool", files)
    with serving(repository) as server:
        found = recover(core, tmp_path, server.url)
        assert not found.gaps
        assert found.origins[TOOL][:3] == (server.url, "tool", "2:1.0-1")
        primary = next((repository / "repodata").glob("*primary.xml*"))
        server.answers[f"/repodata/{primary.name}"] = b"<metadata/>"
        other = tmp_path / "other"
        other.mkdir()
        assert fails(core, other, server.url).code == "bad-repository"
        server.answers["/repodata/repomd.xml"] = b'<!DOCTYPE x [<!ENTITY a "aaaa">]><repomd>&a;</repomd>'
        assert "document type" in fails(core, other, server.url).message
    assert not (tmp_path / "rpm/ran").exists()


def test_rpm_md_leads_from_build_ids_to_packages_whatever_the_core_calls_the_file(
    core: CoreFile, tmp_path: Path
) -> None:
    """As where a retrace server finds "no package", though it has it (abrt/faf, issue 919)."""
    build_id = IDS[TOOL].hex()
    files = tree(tmp_path / "tree", {"/usr/libexec/tool-1.0": MAPPED[TOOL], LIBC: MAPPED[LIBC]})
    link = files / f"usr/lib/.build-id/{build_id[:2]}/{build_id[2:]}"
    link.parent.mkdir(parents=True)
    link.symlink_to("../../../../usr/libexec/tool-1.0")
    with serving(publish_rpm(tmp_path / "rpm", "tool", files)) as server:
        assert not recover(core, tmp_path, server.url).gaps
        assert (tmp_path / "root" / TOOL[1:]).read_bytes() == MAPPED[TOOL]


def test_apk_leads_from_commands_and_libraries_to_packages(
    core: CoreFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = ApkKey(tmp_path)
    monkeypatch.setenv("COREBOX_KEYRINGS", str(key.public))
    folder = tmp_path / "apk"
    publish_apk(folder, key, "tool", MAPPED, "so:libc.so.6=6 cmd:tool=1.0-r0")
    with serving(folder) as server:
        found = recover(core, tmp_path, server.url)
        assert not found.gaps
        assert found.origins[TOOL][:3] == (server.url, "tool", "1.0-r0")
        other = tmp_path / "other"
        other.mkdir()
        package = (folder / "tool-1.0-r0.apk").read_bytes()
        server.answers["/tool-1.0-r0.apk"] = package[:-9] + bytes([package[-9] ^ 1]) + package[-8:]
        assert fails(core, other, server.url).code == "bad-repository"
        index = (folder / "APKINDEX.tar.gz").read_bytes()
        server.answers["/APKINDEX.tar.gz"] = index + gzip.compress(b"more")
        assert fails(core, other, server.url).code == "bad-signature"
        server.answers["/APKINDEX.tar.gz"] = gzip.compress(b"")
        assert fails(core, other, server.url).code == "bad-signature"
        server.answers["/APKINDEX.tar.gz"] = index[:-20]
        assert fails(core, other, server.url).code == "bad-repository"


def with_primary(repository: Path, server: Server, change: Callable[[str], str]) -> None:
    """Serve the list of packages changed, with an index that says so: nobody has signed it."""
    repomd = (repository / "repodata/repomd.xml").read_text()
    (primary,) = (repository / "repodata").glob("*primary.xml*")
    opened = zlib.decompress(primary.read_bytes(), wbits=47) if primary.name.endswith(".gz") else zstd(primary)
    data = gzip.compress(change(opened.decode()).encode())
    part = repomd[repomd.index('<data type="primary">') :]
    old, checksum = part[: part.index("</data>")], hashlib.sha256(data).hexdigest()
    new = f'<data type="primary"><checksum type="sha256">{checksum}</checksum><location href="repodata/p.xml.gz"/>'
    server.answers["/repodata/repomd.xml"] = repomd.replace(old, new).encode()
    server.answers["/repodata/p.xml.gz"] = data


def zstd(path: Path) -> bytes:
    return subprocess.run(["zstd", "-dcq", str(path)], check=True, capture_output=True).stdout


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ('<location href="', '<location href="../../../../etc/', "missing"),  # on a server that is all the repository's
        ('<location href="', '<location href="http://127.0.0.1:9/', "bad-repository"),
        ("<location ", '<location xml:base="file:///etc/" ', "repository-unreachable"),
        ("<packager", "<x>" * 40 + "</x>" * 40 + "<packager", "bad-repository"),
        ("</metadata>", "<package>" * 3, "bad-repository"),
    ],
)
def test_a_list_of_rpm_md_that_a_stranger_made(core: CoreFile, tmp_path: Path, old: str, new: str, code: str) -> None:
    repository = publish_rpm(tmp_path / "rpm", "tool", tree(tmp_path / "tree", MAPPED))
    with serving(repository) as server:
        with_primary(repository, server, lambda text: text.replace(old, new, 1) if old in text else text)
        assert outcome(core, tmp_path, server.url) == code


def outcome(core: CoreFile, tmp_path: Path, place: str) -> str:
    """The code of the error; else whether something is missing."""
    try:
        return "missing" if recover(core, tmp_path, place).gaps else "found"
    except CoreboxError as error:
        return error.code


def test_an_rpm_and_lists_that_are_another_or_a_bomb(
    core: CoreFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = publish_rpm(tmp_path / "rpm", "tool", tree(tmp_path / "tree", MAPPED))
    (package,) = repository.glob("*.rpm")
    with serving(repository) as server:
        server.answers[f"/{package.name}"] = package.read_bytes()[:-1] + b"x"
        assert fails(core, tmp_path, server.url).code == "bad-repository"
        monkeypatch.setattr("corebox.locate.repositories.decompress.MAX_SIZE", 1 << 20)
        with_primary(repository, server, lambda text: text + " " * (4 << 20))
        assert fails(core, tmp_path, server.url).code == "bad-repository"


def test_an_index_of_apk_that_is_a_bomb(core: CoreFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also the owner of a key may be somebody whom it was stolen from."""
    key = ApkKey(tmp_path)
    monkeypatch.setenv("COREBOX_KEYRINGS", str(key.public))
    monkeypatch.setattr("corebox.locate.repositories.decompress.MAX_SIZE", 1 << 20)
    folder = tmp_path / "apk"
    publish_apk(folder, key, "tool", MAPPED, "cmd:tool=1.0-r0")
    bomb = gzip.compress(bytes(64 << 20))
    with serving(folder) as server:
        server.answers["/APKINDEX.tar.gz"] = key.sign(bomb) + bomb
        assert fails(core, tmp_path, server.url).code == "bad-repository"


@pytest.mark.parametrize("place", ["debian:", "debian:..", "ubuntu:24.04; rm", "debian:TRIXIE"])
def test_what_is_no_release_is_refused(tmp_path: Path, place: str) -> None:
    with pytest.raises(CoreboxError, match="not the name of a release"):
        open_places(SymbolOptions((place,)), Store(tmp_path / "home"), {}, print, print)
