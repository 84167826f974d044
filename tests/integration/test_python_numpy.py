"""Real software: a Python process with numpy, most of whose shared objects were opened with dlopen."""

from pathlib import Path

from tests.support.lab import Lab
from tests.support.site import Site


def test_every_mapped_elf_file_is_in_the_bundle_and_verified(site: Site, zipapp: Path, lab: Lab, tmp_path: Path) -> None:
    crash = site.crash_numpy()
    named_by_ldd = site.run("ldd /usr/bin/python3").stdout.count(".so")
    out = tmp_path / "numpy.corebox"
    assert site.gather_inside(crash, zipapp, out) == 0
    manifest = lab.done("info", out, "--json").json["manifest"]
    modules = {module["path"]: module["verdict"] for module in manifest["modules"]}
    assert set(modules.values()) == {"verified"}
    assert len(modules) > 20
    assert len(modules) > 3 * named_by_ldd
    assert any("_multiarray_umath" in path for path in modules)
    taken = {file["path"] for file in manifest["files"]}
    assert set(modules) <= taken
    mapped = site.run(f"cat {'/' + str(crash.core.relative_to(site.root))} | tr '\\0' '\\n' | grep -a '^/.*\\.so' | sort -u").stdout
    assert {path for path in modules if ".so" in path} <= set(mapped.split())
    assert lab.done("verify", out, "--json").json["ok"]
    assert "string_at" in lab.gdb(out, "bubblewrap", "bt").output
