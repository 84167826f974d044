"""Real software: a Python process with numpy, most of whose shared objects were opened with dlopen."""

import re
import subprocess
from pathlib import Path

from tests.support.lab import Lab
from tests.support.programs import HOST_GDB
from tests.support.site import Crash, Site


def mapped_elf_files(crash: Crash, site: Site) -> set[str]:
    """The ELF files among the names in NT_FILE, as another reader of cores than ours sees them."""
    command = [HOST_GDB, "-nx", "-batch", "-iex", "set debuginfod enabled off", "-ex", "info proc mappings"]
    shown = subprocess.run([*command, "-c", str(crash.core)], capture_output=True, text=True, check=False).stdout
    names = set(re.findall(r"^ +0x.* (/.*\S)", shown, re.MULTILINE))
    paths = {name: site.root / name.lstrip("/") for name in names}
    return {name for name, path in paths.items() if path.is_file() and path.read_bytes()[:4] == b"\x7fELF"}


def test_every_mapped_elf_file_is_in_the_bundle_and_verified(
    site: Site, zipapp: Path, lab: Lab, tmp_path: Path
) -> None:
    crash = site.crash_numpy()
    named_by_ldd = len(site.run("ldd /usr/bin/python3").stdout.splitlines())
    out = tmp_path / "numpy.corebox"
    assert site.gather_inside(crash, zipapp, out) == 0
    manifest = lab.done("info", out, "--json").json["manifest"]
    modules = {module["path"]: module["verdict"] for module in manifest["modules"]}
    assert set(modules.values()) == {"verified"}
    assert len(modules) > 20
    assert len(modules) > 3 * named_by_ldd
    assert any("_multiarray_umath" in path for path in modules)
    taken = {file["path"] for file in manifest["files"]}
    assert mapped_elf_files(crash, site) == set(modules) <= taken
    assert lab.done("verify", out, "--json").json["ok"]
    shown = lab.gdb(out, "bubblewrap", "bt").output
    for name in ("_ctypes.cpython", "Py_RunMain", "__libc_start_main"):
        assert name in shown, shown
