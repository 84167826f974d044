"""A core alone, an archive and its twin with debug files, both as Debian makes them: lines and arguments are there."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from corebox.unbundle.read import read_manifest
from tests.support import debpackage
from tests.support.lab import Lab
from tests.support.repositories import SUITE, Key, publish_apt, serving

SOURCE = "#include <stdlib.h>\nint weigh(int stones) {\n    if (stones > 2) abort();\n    return stones;\n}\n"
MAIN = "int main(void) { return weigh(3); }\n"
LIBRARIES = "/usr/lib/x86_64-linux-gnu"


def test_the_packages_of_the_archive_and_of_its_debug_files(
    machine: None, lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages = debpackage.build(tmp_path / "build", SOURCE + MAIN)
    build_id = debpackage.field(packages["tool-dbgsym"], "Build-Ids")
    site = tmp_path / "site"
    subprocess.run(["dpkg-deb", "-x", str(packages["tool"]), str(site)], check=True)
    for name in ("libc.so.6", "ld-linux-x86-64.so.2"):
        place = site / LIBRARIES[1:] / name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(f"{LIBRARIES}/{name}", place)
    (site / "lib64").symlink_to("usr/lib/x86_64-linux-gnu")
    (site / "lib").symlink_to("usr/lib")
    command = f"ulimit -c unlimited; chroot {site} /usr/bin/tool"
    subprocess.run(["sh", "-c", command], cwd=site, check=False)
    (core,) = site.glob("core*")
    key = Key(tmp_path)
    archives = {"debian": "tool", "debian-debug": "tool-dbgsym"}
    for folder, name in archives.items():
        (tmp_path / "served" / folder / "pool").mkdir(parents=True)
        shutil.copy(packages[name], tmp_path / "served" / folder / "pool")
    publish_apt(tmp_path / "served/debian", key, {"/usr/bin/tool": "tool"})
    publish_apt(tmp_path / "served/debian-debug", key, {}, {"tool-dbgsym": build_id})
    monkeypatch.setenv("COREBOX_KEYRINGS", str(key.public))
    with serving(tmp_path / "served") as server:
        named = [word for folder in archives for word in ("--from", f"{server.url}/{folder}/{SUITE}")]
        shown = lab.gdb(core, "bubblewrap", "backtrace", options=[*named, "--from", site / LIBRARIES[1:]])
        assert re.search(r"weigh \(stones=3\) at .*tool\.c:3", shown.output), shown.output + shown.errors
        out = tmp_path / "out.corebox"
        lab.done("recover", core, *named, "--from", site / LIBRARIES[1:], "-o", out)
    origin = next(entry.origin for entry in read_manifest(out).files if entry.path == "/usr/bin/tool")
    assert origin
    assert (origin.package, origin.version) == ("tool", "1.0")
    assert origin.url == f"{server.url}/debian/pool/tool_1.0_amd64.deb"
