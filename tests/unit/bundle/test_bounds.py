"""A reader of bundles takes what a writer writes, and bounds what it does not."""

from pathlib import Path

import pytest

from corebox.bundle import layout
from corebox.bundle.manifest import FileEntry, Manifest, SymlinkEntry
from corebox.bundle.runscript import run_script
from corebox.errors import InputError
from corebox.files.paths import MAX_PATH
from corebox.unbundle.read import BundleReader
from corebox.unbundle.tree import check_tree
from tests.unit.bundle import samples

LONG = "/opt/" + "d" * 120 + "/" + "f" * 90


@pytest.fixture
def long_names(monkeypatch: pytest.MonkeyPatch) -> Manifest:
    """A bundle with a path and a link's target that no plain header of tar holds."""
    value = samples.manifest()
    data = samples.CONTENT["/opt/app/bin/app"]
    monkeypatch.setitem(samples.CONTENT, LONG, data)
    entry = FileEntry(LONG, "module", len(data), 0o644, samples.MTIME)
    files = tuple(sorted((*value.files, entry), key=lambda each: each.path))
    link = SymlinkEntry("/zz", LONG[1:])
    return value._replace(files=files, symlinks=(*value.symlinks, link))


def test_long_names_come_back(tmp_path: Path, long_names: Manifest) -> None:
    written = samples.write_sample(tmp_path / "site", long_names)
    with BundleReader(written.path) as reader:
        root = reader.unpack(tmp_path / "out").root
    assert (root / LONG[1:]).read_bytes() == samples.CONTENT["/opt/app/bin/app"]
    assert (root / "zz").readlink() == Path(LONG[1:])
    assert (root / "opt/app/bin/app").read_bytes() == samples.CONTENT["/opt/app/bin/app"], "and so does what follows"


def unpack_fails(path: Path, into: Path) -> str:
    with BundleReader(path) as reader, pytest.raises(InputError) as raised:
        reader.unpack(into)
    assert raised.value.code == "bundle-damaged"
    return raised.value.message


@pytest.mark.parametrize(
    ("name", "bound", "says"),
    [
        ("MAX_PAX", 64, "an extended header is too long"),
        ("MAX_CORE_LAYOUT", 8, "core.layout.json is missing"),
        ("MAX_RUN_SCRIPT", 8, "run.sh is missing"),
    ],
)
def test_what_is_longer_than_any_writer_makes_it_is_not_read(
    tmp_path: Path, long_names: Manifest, monkeypatch: pytest.MonkeyPatch, name: str, bound: int, says: str
) -> None:
    written = samples.write_sample(tmp_path / "site", long_names)
    monkeypatch.setattr(layout, name, bound)
    assert says in unpack_fails(Path(written.path), tmp_path / "out")


def test_the_script_is_the_script(tmp_path: Path) -> None:
    written = samples.write_sample(tmp_path / "site")
    with BundleReader(written.path) as reader:
        unpacked = reader.unpack(tmp_path / "out")
    assert unpacked.run_script.read_bytes() == run_script(samples.manifest().process.executable or "")
    assert unpacked.run_script.stat().st_mode & 0o777 == 0o755


def test_a_bundle_with_a_bad_manifest_is_closed_again(tmp_path: Path) -> None:
    path = samples.write_raw(tmp_path / "x.corebox", samples.parts(samples.manifest())[1:])
    reader = BundleReader(path)
    with pytest.raises(InputError):
        reader.__enter__()
    assert reader._file.closed


def test_a_links_target_is_no_longer_than_a_path_may_be() -> None:
    folder = "d" * 63 + "/"
    check_tree([], [("/link", folder * (MAX_PATH // len(folder)))])
    with pytest.raises(InputError, match="points outside the root"):
        check_tree([], [("/link", folder * (MAX_PATH // len(folder)) + "d")])
