"""Whose files are on this machine: Debian's, by source package, under either spelling of a merged /usr."""

import subprocess
from pathlib import Path

import pytest

from corebox.image.packages import find_packages


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("/usr/share/dpkg/tupletable", "dpkg"),
        ("/bin/sh", "dash"),
        ("/usr/bin/sh", "dash"),
        ("/bin/cat", "coreutils"),
        ("/usr/bin/cat", "coreutils"),
        ("/proc/version", None),
        ("/nothing", None),
        ("/-f", None),
    ],
)
def test_a_file_has_its_source_package(path: str, source: str | None) -> None:
    found = find_packages([Path(path)]).get(Path(path))
    assert (found.name if found else None) == source


def test_version_is_that_of_the_source() -> None:
    """Built again without a change (+b1), or with a version of its own, a package has another one."""
    shown = "${Package}\t${Version}\t${source:Package} ${source:Version}\n"
    lines = subprocess.check_output(["dpkg-query", "-W", f"-f={shown}"], text=True).splitlines()
    package, version, source = next(row for row in (line.split("\t") for line in lines) if row[1] != row[2].split()[1])
    listed = subprocess.check_output(["dpkg-query", "-L", package], text=True).splitlines()
    path = next(path for each in listed if (path := Path(each)).is_file() and path == path.resolve())
    found = find_packages([path])[path]
    assert f"{found.name} {found.version}" == source
    assert version not in source
    assert (found.family, found.distribution) == ("deb", "debian")


def test_without_dpkg_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nothing")
    assert find_packages([Path("/bin/cat")]) == {}
