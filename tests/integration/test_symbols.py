"""Names and lines for what is stripped: debug files of the vendor and of the distribution, by build ID alone."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from corebox.bundle import read_manifest
from corebox.coredump import read_elf
from corebox.symbols import find_symbols
from tests.support.lab import Lab
from tests.support.site import Site


@pytest.fixture(scope="module")
def symbols(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The distribution's libc6-dbg, unpacked, and the unstripped twin of the program, under another name."""
    folder = tmp_path_factory.mktemp("symbols")
    site.run("cd /tmp && rm -f libc6-dbg*.deb && apt-get update -q && apt-get download -q libc6-dbg")
    (package,) = (site.root / "tmp").glob("libc6-dbg*.deb")
    subprocess.run(["dpkg", "-x", str(package), str(folder / "libc")], check=True)
    (folder / "ours").mkdir()
    shutil.copy(site.root / "opt/acme/twin/pipeline", folder / "ours" / "whatever it is called")
    return folder


def backtrace_has_all(shown: str) -> None:
    assert re.search(r"qsort_r \(.*\) at (.*/)?(msort|qsort)\.c:\d+", shown), shown  # an inlined frame
    assert re.search(r"in main \(.*\) at .*:\d+", shown), shown
    assert "??" not in shown


def test_libc_and_program_have_names_and_lines(lab: Lab, bundle: Path, symbols: Path, engine: str) -> None:
    options = ["--symbols", symbols / "libc", "--symbols", symbols / "ours"]
    backtrace_has_all(lab.gdb(bundle, engine, "backtrace", options=options).output)
    assert "??" in lab.gdb(bundle, engine, "backtrace").output


def test_the_image_carries_them_in_a_layer_of_their_own(
    fresh_lab: Lab, bundle: Path, symbols: Path, engine: str
) -> None:
    plain = fresh_lab.build(bundle, "-t", "plain:1")
    built = fresh_lab.build(bundle, "-t", "full:1", "--symbols", symbols)
    kinds = {layer["digest"]: layer["kind"] for layer in built["layers"]}
    new = set(kinds) - {layer["digest"] for layer in plain["layers"]}
    assert {kinds[digest] for digest in new} == {"symbols"}
    assert fresh_lab.build(bundle, "-t", "again:1", "--symbols", symbols)["image_id"] == built["image_id"]
    backtrace_has_all(fresh_lab.gdb("full:1", engine, "backtrace").output)


def test_files_of_another_build_are_not_taken(lab: Lab, bundle: Path, symbols: Path, tmp_path: Path) -> None:
    """The same name in the place of the right one, with another build ID."""
    source = tmp_path / "x.c"
    source.write_text("int main(void) { return 0; }\n")
    wrong = tmp_path / "wrong" / "pipeline"
    wrong.parent.mkdir()
    subprocess.run(["gcc", "-g", str(source), "-o", str(wrong)], check=True)
    assert read_elf(str(wrong)).has_debug_info
    shown = lab.gdb(bundle, "bubblewrap", "backtrace", options=["--symbols", wrong.parent]).output
    assert "??" in shown


def test_the_facts_of_a_debug_file_are_its_own(site: Site, symbols: Path) -> None:
    """Its program headers are those of the library, and lead to bytes of something else."""
    library = next((site.root / "lib/x86_64-linux-gnu").glob("libc[.-]*so*"))
    build_id = read_elf(str(library)).build_id or ""
    facts = read_elf(str(symbols / "libc/usr/lib/debug/.build-id" / build_id[:2] / f"{build_id[2:]}.debug"))
    assert (facts.build_id, facts.has_debug_info, facts.interpreter, facts.needed) == (build_id, True, None, ())


def test_files_of_one_name_that_only_root_may_read(lab: Lab, bundle: Path, symbols: Path, tmp_path: Path) -> None:
    """For a container, whose user is not root, both are copied."""
    modules = read_manifest(bundle).modules
    build_ids = [each.memory or "" for each in modules if re.search(r"/libc[.-][^/]*$|/pipeline$", each.path)]
    found = find_symbols([symbols], build_ids)
    assert len(found) == 2
    for build_id, path in found.items():
        target = tmp_path / build_id / "the same name"
        target.parent.mkdir()
        shutil.copy(path, target)
        target.chmod(0o600)
    backtrace_has_all(lab.gdb(bundle, "docker", "backtrace", options=["--symbols", tmp_path]).output)
