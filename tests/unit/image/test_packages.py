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
    """The package gcc has a version of its own, that of the compiler; its source gcc-defaults has another one."""
    gcc = find_packages([Path("/usr/bin/gcc")])[Path("/usr/bin/gcc")]
    shown = subprocess.check_output(["dpkg-query", "-W", "-f=${source:Package} ${source:Version}", "gcc"], text=True)
    assert f"{gcc.name} {gcc.version}" == shown
    assert (gcc.family, gcc.distribution) == ("deb", "debian")


def test_without_dpkg_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nothing")
    assert find_packages([Path("/bin/cat")]) == {}
