"""The bill of materials in the toolbox: valid, complete, and true to the machine that the toolbox was made on."""

import hashlib
import json
import subprocess
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.spdx import is_expression
from cyclonedx.validation.json import JsonStrictValidator

from corebox.image.packages import find_packages
from tests.support.lab import Lab
from tests.support.programs import HOST_GDB

HOME = ".corebox/toolbox/"
SBOM = "share/corebox/sbom.cdx.json"


@dataclass(frozen=True)
class Toolbox:
    """The files of an exported toolbox."""

    files: Mapping[str, bytes]

    @cached_property
    def sbom(self) -> Any:
        """The document."""
        return json.loads(self.files[SBOM])

    def component(self, name: str) -> Any:
        """The one component of this name."""
        (found,) = [each for each in self.sbom["components"] if each["name"] == name]
        return found


@pytest.fixture(scope="module", params=["the wheel's gdb", "the machine's gdb"])
def toolbox(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Toolbox:
    """A toolbox of each kind, as another machine would get it."""
    folder = tmp_path_factory.mktemp("sbom")
    lab = Lab(folder / "home")
    lab.done("toolbox", "build", *(["--gdb", HOST_GDB] if request.param == "the machine's gdb" else []))
    lab.done("toolbox", "export", folder / "toolbox.tar")
    with tarfile.open(folder / "toolbox.tar") as tar:
        files = {each.name.removeprefix(HOME): tar.extractfile(each) for each in tar if each.isfile()}
        return Toolbox({name: file.read() for name, file in files.items() if file})


def source_of(path: str) -> tuple[str, str]:
    """Name and version of the source package that a file of this machine is from, as dpkg knows it."""
    package = subprocess.check_output(["dpkg-query", "-S", path], text=True).split(": ")[0]
    row = subprocess.check_output(["dpkg-query", "-W", "-f=${source:Package} ${source:Version}", package], text=True)
    name, version = row.split()
    return name, version


def test_it_is_valid(toolbox: Toolbox) -> None:
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(toolbox.files[SBOM].decode()) is None


def test_it_names_every_file_once_with_its_digest(toolbox: Toolbox) -> None:
    rows = [
        (file["name"], file["hashes"]) for component in toolbox.sbom["components"] for file in component["components"]
    ]
    assert sorted(rows) == [
        (name, [{"alg": "SHA-256", "content": hashlib.sha256(data).hexdigest()}])
        for name, data in sorted(toolbox.files.items())
        if name != SBOM
    ]


def test_every_component_has_a_version_and_an_address(toolbox: Toolbox) -> None:
    for component in toolbox.sbom["components"]:
        assert component["version"], component["name"]
        assert component["purl"].startswith("pkg:"), component["name"]


def test_licences_are_spdx_expressions(toolbox: Toolbox) -> None:
    licences = {
        each["name"]: each["licenses"][0]["expression"] for each in toolbox.sbom["components"] if "licenses" in each
    }
    assert licences["gdb"] == "GPL-3.0-or-later"
    assert licences["glibc"] == "LGPL-2.1-or-later"
    for licence in licences.values():
        assert is_expression(licence), licence


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("glibc", "/lib/x86_64-linux-gnu/libc.so.6"),
        ("gcc", "/lib/x86_64-linux-gnu/libgcc_s.so.1"),
        ("ncurses", "/lib/terminfo/x/xterm"),
        ("zlib", "/lib/x86_64-linux-gnu/libz.so.1"),
    ],
)
def test_the_machine_s_files_are_its_packages(toolbox: Toolbox, name: str, path: str) -> None:
    source, version = source_of(path)
    component = toolbox.component(name)
    assert component["version"] == version
    assert component["purl"].startswith(f"pkg:deb/debian/{source}@")


def test_gdb_and_python_have_the_versions_that_the_toolbox_has(toolbox: Toolbox) -> None:
    versions = json.loads(toolbox.files["versions.json"])
    for component, version in (("gdb", "gdb"), ("cpython", "python"), ("corebox", "corebox")):
        assert toolbox.component(component)["version"].startswith(versions[version])
    if ".post" in versions["gdb"]:
        assert toolbox.component("gdb")["purl"] == f"pkg:pypi/gdb-for-pwndbg@{versions['gdb']}"


def test_where_rpm_has_the_files_they_are_its_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that rpmbuild made, in a database of its own, which holds a library that dpkg does not know."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".rpmmacros").write_text(f"%_dbpath {tmp_path}/db\n%_topdir {tmp_path}/build\n")
    library = tmp_path / "opt/lib/libacme.so.1"
    (tmp_path / "acme.spec").write_text(
        "Name: acme-libs\nVersion: 1.5\nRelease: 2\nSummary: x\nLicense: x\nBuildArch: noarch\n%description\nx\n"
        f"%install\ninstall -D /etc/os-release %{{buildroot}}{library}\n%files\n{library}\n"
    )
    for command in (("rpmbuild", "-bb", "acme.spec"), ("rpm", "--install", "--justdb", "--nodeps")):
        made = map(str, (tmp_path / "build/RPMS").rglob("*.rpm"))
        subprocess.run([*command, *made], cwd=tmp_path, check=True, capture_output=True)
    library.parent.mkdir(parents=True)
    library.touch()
    found = find_packages([library, Path("/bin/cat")])
    assert (found[library].name, found[library].version, found[library].family) == ("acme-libs", "1.5-2", "rpm")
    assert found[Path("/bin/cat")].family == "deb"


def test_nothing_in_it_is_of_the_moment_or_the_place(toolbox: Toolbox) -> None:
    """That the same machine makes the same bytes twice is asked of the whole toolbox elsewhere."""
    assert "timestamp" not in toolbox.sbom["metadata"]
    assert str(Path.home()).encode() not in toolbox.files[SBOM]
    assert str(Path.cwd()).encode() not in toolbox.files[SBOM]
