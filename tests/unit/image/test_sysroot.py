"""Links of a customer's tree lead nowhere when its files are copied."""

import zipfile
from pathlib import Path

import pytest

from corebox.image.opened import OpenedImage
from corebox.image.sysroot import export_sysroot, write_zip
from tests.unit.bundle import samples


@pytest.fixture
def opened(tmp_path: Path) -> OpenedImage:
    """An image whose tree has links out of it, a program with set-user-ID, and files of ours."""
    root = tmp_path / "root"
    (root / "usr/bin").mkdir(parents=True)
    (root / "usr/bin/app").write_bytes(b"program")
    (root / "usr/bin/app").chmod(0o4755)
    (root / "bin").symlink_to("usr/bin")
    (root / "out").symlink_to("/etc")
    (root / "usr/passwd").symlink_to("/etc/passwd")
    (root / ".corebox").mkdir()
    (root / ".corebox/secret").touch()
    return OpenedImage(None, samples.manifest(), "", root, root, root, None, None)  # type: ignore[arg-type]


def test_a_sysroot_has_links_as_they_are(opened: OpenedImage, tmp_path: Path) -> None:
    export_sysroot(opened, tmp_path / "new")
    assert {str(path.relative_to(tmp_path / "new")) for path in (tmp_path / "new").rglob("*")} >= {"usr/bin/app", "out"}
    assert (tmp_path / "new/out").readlink() == Path("/etc")
    assert not (tmp_path / "new/.corebox").exists()
    assert (tmp_path / "new/usr/bin/app").stat().st_mode & 0o7777 == 0o755


def test_a_zip_file_has_none(opened: OpenedImage, tmp_path: Path) -> None:
    manifest = opened.manifest
    module = manifest.modules[0]._replace(
        path="/usr/bin/app", opened_as=("/bin/app", "/../usr/bin/../bin/app", "/../../etc/passwd", "/usr/passwd")
    )
    size = write_zip(opened._replace(manifest=manifest._replace(modules=(module,))), tmp_path / "x.zip")
    assert size == (tmp_path / "x.zip").stat().st_size
    with zipfile.ZipFile(tmp_path / "x.zip") as archive:
        assert sorted(archive.namelist()) == ["bin/app", "usr/bin/app"]


@pytest.mark.parametrize("link", ["usr/lib/debug", "usr/lib", "usr/lib/debug/.build-id"])
def test_symbols_follow_no_link(opened: OpenedImage, tmp_path: Path, link: str) -> None:
    debug, elsewhere = tmp_path / "debug", tmp_path / "elsewhere"
    (debug / ".build-id/ab").mkdir(parents=True)
    (debug / ".build-id/ab/cd.debug").touch()
    elsewhere.mkdir()
    (opened.root / link).parent.mkdir(parents=True, exist_ok=True)
    (opened.root / link).symlink_to(elsewhere)
    export_sysroot(opened._replace(debug=debug), tmp_path / "new")
    assert list(elsewhere.iterdir()) == []


def test_symbols_are_where_debuggers_look(opened: OpenedImage, tmp_path: Path) -> None:
    debug = tmp_path / "debug/.build-id/ab"
    debug.mkdir(parents=True)
    (debug / "cd.debug").write_text("symbols")
    export_sysroot(opened._replace(debug=tmp_path / "debug"), tmp_path / "new")
    assert (tmp_path / "new/usr/lib/debug/.build-id/ab/cd.debug").read_text() == "symbols"
