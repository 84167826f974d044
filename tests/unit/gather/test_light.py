"""Light bundles: what the package databases and lists of build IDs say, and what is left out by that."""

import base64
import hashlib
import json
import sqlite3
import struct
from pathlib import Path

import jsonschema
import pytest

from corebox.bundle.manifest import LeftOutFile, Manifest
from corebox.describe.lacking import places_for
from corebox.errors import InputError
from corebox.files.diskroot import DiskRoot
from corebox.gather.cli import main
from corebox.gather.light import read_known
from corebox.gather.packagedb import Owner, find_owners
from corebox.unbundle.parse import parse_manifest
from corebox.unbundle.read import read_manifest
from corebox.unbundle.verify import verify_bundle
from tests.unit.bundle.samples import manifest
from tests.unit.bundle.test_manifest import schema
from tests.unit.gather.sites import BUILD_IDS, EXECUTABLE, LIBC, LINKER, put

OLD_LIBC = LIBC[len("/usr") :]
STATUS = b"""Package: libc6
Status: install ok installed
Multi-Arch: same
Architecture: amd64
Version: 2.36-9+deb12u10
Description: GNU C Library
 Version: 9 of a continued line

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1.0
"""


def digest(root: Path, path: str, algorithm: str = "md5") -> str:
    return hashlib.new(algorithm, Path(str(root) + path).read_bytes()).hexdigest()


def install_libc(root: Path, sum_of_libc: str | None = None) -> None:
    """As dpkg notes it, by the names from before the merge of /usr."""
    put(root, "/var/lib/dpkg/status", STATUS)
    lines = f"{sum_of_libc or digest(root, LIBC)}  {OLD_LIBC[1:]}\n{digest(root, LINKER)}  {LINKER[len('/usr/') :]}\n"
    put(root, "/var/lib/dpkg/info/libc6:amd64.md5sums", lines.encode())
    put(root, "/var/lib/dpkg/info/gone.md5sums", f"{digest(root, EXECUTABLE)}  {EXECUTABLE[1:]}\n".encode())


def owners(root: Path, *paths: str) -> dict[str, list[Owner]]:
    with DiskRoot(str(root)) as disk:
        found = find_owners(disk, paths)
    assert not found.problems
    return found.of


def gathered(core: Path, root: Path, out: Path, *options: str) -> Manifest:
    assert main([str(core), "--root", str(root), "-o", str(out), "--no-nice", *options]) == 0
    return read_manifest(out)


def test_unchanged_files_of_packages_are_left_out_and_the_manifest_says_which(
    core_path: Path, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    install_libc(root)
    full = gathered(core_path, root, tmp_path / "full.corebox")
    light = gathered(core_path, root, tmp_path / "light.corebox", "--light")
    assert [entry.path for entry in light.left_out] == [LINKER, LIBC]
    assert {entry.entry for entry in light.left_out} | set(light.files) == set(full.files)
    (libc,) = (entry for entry in light.left_out if entry.path == LIBC)
    assert libc.sha256 == digest(root, LIBC, "sha256")
    assert libc[6:] == (BUILD_IDS[LIBC], "dpkg", "libc6", "2.36-9+deb12u10")
    assert light._replace(left_out=(), files=full.files) == full, "all else is as in the full bundle"
    assert "2 files of 1 package left out" in capsys.readouterr().out


def test_a_file_that_was_changed_stays(core_path: Path, root: Path, tmp_path: Path) -> None:
    install_libc(root, sum_of_libc="0" * 32)
    light = gathered(core_path, root, tmp_path / "light.corebox", "--light")
    assert [entry.path for entry in light.left_out] == [LINKER]


def test_a_file_that_the_core_does_not_prove_stays(core_path: Path, root: Path, tmp_path: Path) -> None:
    put(root, LIBC, Path(str(root) + LINKER).read_bytes())
    install_libc(root)
    out = tmp_path / "light.corebox"
    assert main([str(core_path), "--root", str(root), "-o", str(out), "--no-nice", "--light"]) == 1
    assert LIBC in {entry.path for entry in read_manifest(out).files}


def test_files_of_a_list_of_build_ids_are_left_out(core_path: Path, root: Path, tmp_path: Path) -> None:
    known = tmp_path / "known.txt"
    known.write_text(f"# releases of acme\n{BUILD_IDS[EXECUTABLE].upper()}  bin/dynamic\n\n{'ab' * 20}\n")
    light = gathered(core_path, root, tmp_path / "light.corebox", "--known", str(known))
    assert [(entry.path, entry.package) for entry in light.left_out] == [(EXECUTABLE, None)]


@pytest.mark.parametrize("content", [b"\x7fELF\x02\x01", b"deadbeef\nno build ID here\n", b"<html>"])
def test_another_file_is_no_list(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "known.txt").write_bytes(content)
    with pytest.raises(InputError, match="not a list of build IDs"):
        read_known(str(tmp_path / "known.txt"))


def test_the_manifest_of_a_light_bundle_comes_back(core_path: Path) -> None:
    entry = LeftOutFile("/usr/lib/liby.so", "module", 5, 0o644, 7, "ab" * 32, "cd" * 20, "rpm", "y", "1:2-3")
    light = manifest(left_out=(entry,))
    assert parse_manifest(light.to_bytes()) == light
    jsonschema.validate(json.loads(light.to_bytes()), schema())


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("path", "/usr/lib/libx.so.1.2"),
        ("path", "/usr/lib/../x"),
        ("path", "/lib/x"),
        ("sha256", "ab"),
        ("manager", ""),
    ],
)
def test_what_a_light_bundle_cannot_say_is_refused(key: str, value: str) -> None:
    entry = LeftOutFile("/usr/lib/liby.so", "module", 5, 0o644, 7, "ab" * 32, None, None, None, None)
    document = json.loads(manifest(left_out=(entry,)).to_bytes())
    document["left_out"][0][key] = value
    with pytest.raises(InputError, match="damaged"):
        parse_manifest(json.dumps(document).encode())


def test_images_without_dpkg_have_a_file_for_each_package(root: Path) -> None:
    put(root, "/var/lib/dpkg/status.d/libc6", b"Package: libc6\nVersion: 2.36-9\nArchitecture: amd64\n")
    put(root, "/var/lib/dpkg/status.d/libc6.md5sums", f"{digest(root, LIBC)}  .{LIBC}\n".encode())
    assert owners(root, LIBC) == {LIBC: [Owner("dpkg", "libc6", "2.36-9", "md5", digest(root, LIBC))]}


def test_apk_has_one_file_for_all(root: Path) -> None:
    sha1 = hashlib.sha1(Path(str(root) + LIBC).read_bytes())
    checksum = base64.b64encode(sha1.digest()).decode()
    text = f"P:musl\nV:1.2.5-r0\nF:usr/lib/x86_64-linux-gnu\nR:libc.so.6\na:0:0:755\nZ:Q1{checksum}\n\n"
    put(root, "/lib/apk/db/installed", (text + "P:other\nV:1\nF:\nR:x\nZ:Q1bad\n\n").encode())
    assert owners(root, LIBC) == {LIBC: [Owner("apk", "musl", "1.2.5-r0", "sha1", sha1.hexdigest())]}


def rpm_header(**values: object) -> bytes:
    """The header of a package, with the tags that are read."""
    tags = {"name": 1000, "version": 1001, "release": 1002, "epoch": 1003, "digests": 1035, "indexes": 1116}
    tags |= {"basenames": 1117, "dirnames": 1118, "algorithm": 5011}
    index, data = b"", b""
    for name, value in values.items():
        data += bytes(-len(data) % 4)
        items = value if isinstance(value, list) else [value]
        kind = 4 if isinstance(items[0], int) else 8 if isinstance(value, list) else 6
        index += struct.pack(">IIiI", tags[name], kind, len(data), len(items))
        data += b"".join(struct.pack(">I", item) if kind == 4 else str(item).encode() + b"\0" for item in items)
    return struct.pack(">II", len(index) // 16, len(data)) + index + data


def install_rpm(root: Path, blob: bytes) -> None:
    folder = Path(str(root) + "/usr/lib/sysimage/rpm")
    folder.mkdir(parents=True)
    with sqlite3.connect(folder / "rpmdb.sqlite") as database:
        database.execute("CREATE TABLE Packages (hnum INTEGER PRIMARY KEY AUTOINCREMENT, blob BLOB NOT NULL)")
        database.execute("CREATE TABLE Basenames (key 'TEXT' NOT NULL, hnum INTEGER NOT NULL, idx INTEGER NOT NULL)")
        database.execute("INSERT INTO Packages VALUES (1, ?)", (blob,))
        database.execute("INSERT INTO Basenames VALUES ('libc.so.6', 1, 0)")
    database.close()


def test_rpm_has_a_database_of_sqlite(root: Path) -> None:
    sha256 = digest(root, LIBC, "sha256")
    folder, _, base = LIBC.rpartition("/")
    blob = rpm_header(
        name="glibc", version="2.39", release="6.fc40", epoch=1, digests=["", sha256], indexes=[0, 1],
        basenames=["other", base], dirnames=["/usr/bin/", folder + "/"], algorithm=8,
    )  # fmt: skip
    install_rpm(root, blob)
    assert owners(root, LIBC) == {LIBC: [Owner("rpm", "glibc", "1:2.39-6.fc40", "sha256", sha256)]}


@pytest.mark.parametrize(
    "blob", [b"", b"\xff" * 40, struct.pack(">IIIIiI", 1, 4, 1117, 8, 1 << 30, 1 << 30) + bytes(4)]
)
def test_a_damaged_header_of_rpm_is_told(root: Path, blob: bytes) -> None:
    install_rpm(root, blob)
    with DiskRoot(str(root)) as disk:
        found = find_owners(disk, [LIBC])
    assert not found.of
    assert len(found.problems) == 1


def test_a_view_without_end_in_the_place_of_a_table_is_told(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("corebox.gather.rpmdb._MAX_STEPS", 3)
    folder = Path(str(root) + "/var/lib/rpm")
    folder.mkdir(parents=True)
    with sqlite3.connect(folder / "rpmdb.sqlite") as database:
        endless = "WITH RECURSIVE n(key) AS (SELECT 1 UNION ALL SELECT key + 1 FROM n) SELECT key, 1 AS hnum FROM n"
        database.execute(f"CREATE VIEW Basenames AS {endless}")
    database.close()
    with DiskRoot(str(root)) as disk:
        assert "interrupted" in find_owners(disk, [LIBC]).problems[0]


def test_other_databases_of_rpm_are_told_and_the_files_stay(
    core_path: Path, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(root, "/var/lib/rpm/Packages", b"Berkeley DB")
    light = gathered(core_path, root, tmp_path / "light.corebox", "--light")
    assert not light.left_out
    assert "only rpm databases of SQLite are read" in capsys.readouterr().out


def test_a_light_bundle_tells_what_it_lacks_and_where_that_is(
    core_path: Path, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    install_libc(root)
    known = tmp_path / "known.txt"
    known.write_text(BUILD_IDS[EXECUTABLE])
    out = tmp_path / "light.corebox"
    gathered(core_path, root, out, "--light", "--known", str(known))
    places = "--from debian:bookworm --from FOLDER-OF-RELEASES"
    assert f"corebox shell light.corebox {places}" in capsys.readouterr().out
    told = {proof.path: (proof.verdict, proof.detail) for proof in verify_bundle(out).modules}
    assert told[EXECUTABLE] == ("missing", "left out: it has a known build ID")
    assert told[LIBC] == ("missing", "left out: it is unchanged from package libc6 2.36-9+deb12u10")


@pytest.mark.parametrize(
    ("release", "place"),
    [
        ({"ID": "debian", "PRETTY_NAME": "Debian GNU/Linux 13 (trixie)"}, "debian:trixie"),
        ({"ID": "debian", "PRETTY_NAME": "Debian GNU/Linux forky/sid"}, "debian:forky"),
        ({"ID": "ubuntu", "VERSION_ID": "24.04", "PRETTY_NAME": "Ubuntu 24.04.1 LTS"}, "ubuntu:24.04"),
        ({"ID": "ubuntu", "VERSION_ID": "24.04; rm", "PRETTY_NAME": ""}, "URL-OF-THE-REPOSITORY"),
        ({"ID": "alpine", "VERSION_ID": "3.20"}, "URL-OF-THE-REPOSITORY"),
    ],
)
def test_the_place_of_a_distribution(release: dict[str, str], place: str) -> None:
    entry = LeftOutFile("/usr/lib/liby.so", "module", 5, 0o644, 7, "ab" * 32, None, "dpkg", "y", "1")
    light = manifest(left_out=(entry,))
    assert places_for(light._replace(site=light.site._replace(os_release=release))) == (place,)
