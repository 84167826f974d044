"""What a core proves is taken, whatever it is called; names alone prove nothing, and nothing leads out of the root."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from corebox.coredump.core import CoreFile, open_core
from corebox.locate.folders import Folder
from corebox.locate.index import Index
from corebox.locate.search import Recovered, search
from corebox.locate.staging import Staging
from corebox.store.store import Store
from tests.support.elfwriter import Format, module, write_core_of

LIBC, PLAIN = "/usr/lib/x/libc.so.6", "/opt/app/plain.so"
FORM = Format()
MAPPED = {LIBC: module(FORM, b"\x01" * 20), PLAIN: module(FORM, None, code=b"plain")}


@pytest.fixture
def core(tmp_path: Path) -> Iterator[CoreFile]:
    """A core with a C library that has a build ID, and a library without one whose code was dumped."""
    with open_core(str(write_core_of(tmp_path / "core", FORM, MAPPED))) as opened:
        yield opened


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return put(tmp_path / "folder", {})


def put(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    folder.mkdir(exist_ok=True)
    return folder


def recover(core: CoreFile, tmp_path: Path, *folders: Path) -> Recovered:
    index = Index(Store(tmp_path / "home").cached("index"))
    root = tmp_path / "root"
    root.mkdir(exist_ok=True)
    return search(core, core.modules, [Folder(each, index) for each in folders], root)


def test_a_file_is_known_by_its_build_id_and_lands_where_the_core_names_it(
    core: CoreFile, folder: Path, tmp_path: Path
) -> None:
    put(folder, {"builds/17": MAPPED[LIBC], "libc.so.6": module(FORM, b"\x02" * 20)})
    found = recover(core, tmp_path, folder)
    assert (tmp_path / "root" / LIBC[1:]).read_bytes() == MAPPED[LIBC]
    assert [each.path for each in found.taken] == [LIBC]
    assert found.origins[LIBC].url == str(folder / "builds/17")
    assert [gap.wanted.names[0] for gap in found.gaps] == [PLAIN]


def test_without_a_build_id_the_dumped_pages_decide(core: CoreFile, folder: Path, tmp_path: Path) -> None:
    put(folder, {"a/plain.so": module(FORM, None, code=b"other"), "b/plain.so": MAPPED[PLAIN]})
    found = recover(core, tmp_path, folder)
    assert [(each.path, each.candidate.name) for each in found.taken] == [(PLAIN, "/b/plain.so")]
    assert "dumped bytes equal" in str(found.taken[0].detail)


def test_a_file_of_the_name_and_another_build_is_told_with_its_build_id(
    core: CoreFile, folder: Path, tmp_path: Path
) -> None:
    put(folder, {"lib/libc.so.6": module(FORM, b"\x02" * 20)})
    gap = next(each for each in recover(core, tmp_path, folder).gaps if each.wanted.names[0] == LIBC)
    assert (gap.wanted.build_id, gap.refused[0].build_id) == ("01" * 20, "02" * 20)
    assert not (tmp_path / "root" / LIBC[1:]).exists()


def test_companions_come_from_the_same_folder(core: CoreFile, folder: Path, tmp_path: Path) -> None:
    script, python = "usr/share/gdb/auto-load/usr/lib/x/libc.so.6-gdb.py", "usr/share/gcc/python/libc/printers.py"
    here = {
        "r/usr/lib/x/libc.so.6": MAPPED[LIBC],
        "r/usr/lib/x/libthread_db.so.1": b"threads",
        f"r/{script}": b"script",
        f"r/{python}": b"printers",
        "r/usr/lib/os-release": b"ID=test",
        "r/usr/lib/x/libother.so": b"no companion",
        "elsewhere/usr/lib/x/libthread_db.so.1": b"of another system",
    }
    put(folder, here)
    (folder / "r/etc").mkdir()
    (folder / "r/etc/os-release").symlink_to("../usr/lib/os-release")
    recover(core, tmp_path, folder)
    root = tmp_path / "root"
    files = {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}
    assert files == {
        "usr/lib/x/libc.so.6": MAPPED[LIBC],
        "usr/lib/x/libthread_db.so.1": b"threads",
        script: b"script",
        python: b"printers",
        "usr/lib/os-release": b"ID=test",
        "etc/os-release": b"ID=test",
    }


def test_a_link_of_a_folder_leads_to_nothing_outside(core: CoreFile, folder: Path, tmp_path: Path) -> None:
    outside = put(tmp_path / "outside", {"libc.so.6": MAPPED[LIBC]})
    (folder / "libc.so.6").symlink_to(outside / "libc.so.6")
    assert not recover(core, tmp_path, folder).taken


@pytest.mark.parametrize("name", ["/a/../../../x", "/link/x", "/" + "d/" * 300 + "x", "x", "/a\0b", "/file/x", "/"])
def test_no_name_leads_out_of_the_root(tmp_path: Path, name: str) -> None:
    root = put(tmp_path / "root", {"file": b""})
    (root / "link").symlink_to("/../..")
    source = tmp_path / "source"
    source.write_bytes(b"content")
    before = {path for path in tmp_path.rglob("*") if not path.is_relative_to(root)}
    with source.open("rb") as file:
        path = Staging(root).put(name, file.fileno(), source.stat())
    assert {path for path in tmp_path.rglob("*") if not path.is_relative_to(root)} == before
    assert path is None or (root / path[1:]).read_bytes() == b"content"


def test_links_of_a_bundle_come_before_its_files(tmp_path: Path) -> None:
    staging = Staging(put(tmp_path / "root", {}))
    assert staging.link("/lib", "usr/lib")
    assert not staging.link("/lib", "elsewhere")
    assert staging.path_of("/lib/x/libc.so.6") == LIBC
