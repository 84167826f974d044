"""Names and lines for what is stripped: debug files of the vendor and of the distribution, by build ID alone."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from corebox.coredump.elffile import debug_path, read_elf
from corebox.unbundle.read import read_manifest
from tests.support.lab import Lab
from tests.support.site import Site

FAILS = "void fail(void) { *(volatile int *)0 = 1; }\nint main(void) { fail(); return 0; }\n"


@pytest.fixture(scope="module")
def symbols(site: Site, debug_package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The distribution's libc6-dbg, unpacked, and the unstripped twin of the program, under another name."""
    folder = tmp_path_factory.mktemp("symbols")
    subprocess.run(["dpkg", "-x", str(debug_package), str(folder / "libc")], check=True)
    (folder / "ours").mkdir()
    shutil.copy(site.root / "opt/acme/twin/pipeline", folder / "ours" / "whatever it is called")
    return folder


@pytest.fixture(scope="module")
def other_build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program of the same name, with names and lines of its own."""
    wrong = tmp_path_factory.mktemp("wrong") / "pipeline"
    compile_c("int main(void) { return 0; }", wrong)
    assert read_elf(str(wrong)).has_debug_info
    return wrong


def compile_c(source: str, target: Path, *options: str) -> None:
    subprocess.run(["gcc", "-g", "-x", "c", "-", "-o", target, *options], input=source, text=True, check=True)


def backtrace_has_all(shown: str) -> None:
    assert re.search(r"qsort_r \(.*\) at (.*/)?(msort|qsort)\.c:\d+", shown), shown  # an inlined frame
    assert re.search(r"in main \(.*\) at .*:\d+", shown), shown
    assert "??" not in shown


def test_libc_and_program_have_names_and_lines(lab: Lab, bundle: Path, symbols: Path, engine: str) -> None:
    options = ["--symbols", symbols / "libc", "--symbols", symbols / "ours"]
    named = lab.gdb(bundle, engine, "backtrace", options=options)
    backtrace_has_all(named.output)
    assert "stripped" not in named.errors
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


def test_files_of_another_build_are_not_taken(lab: Lab, bundle: Path, other_build: Path) -> None:
    """The same name in the place of the right one, with another build ID."""
    shown = lab.gdb(bundle, "bubblewrap", "backtrace", options=["--symbols", other_build.parent]).output
    assert "??" in shown


@pytest.mark.parametrize("option", ["--symbols", "-e"])
def test_a_wrong_file_is_refused_with_both_build_ids(lab: Lab, bundle: Path, other_build: Path, option: str) -> None:
    refused = lab.corebox("shell", bundle, "--engine", "bubblewrap", option, other_build, "--", "-batch")
    executable = next(each for each in read_manifest(bundle).modules if each.executable)
    assert refused.status == 3
    for words in (str(read_elf(str(other_build)).build_id), str(executable.build_id.memory), "--force"):
        assert words in refused.errors


@pytest.mark.parametrize("option", ["--symbols", "-e"])
def test_force_uses_the_file_all_the_same(lab: Lab, bundle: Path, site: Site, tmp_path: Path, option: str) -> None:
    """The twin with one bit of its build ID changed, so that names and lines are right."""
    twin = (site.root / "opt/acme/twin/pipeline").read_bytes()
    build_id = bytes.fromhex(str(read_elf(str(site.root / "opt/acme/twin/pipeline")).build_id))
    forged = tmp_path / "pipeline"
    forged.write_bytes(twin.replace(build_id, bytes([build_id[0] ^ 1]) + build_id[1:]))
    shown = lab.gdb(bundle, "bubblewrap", "backtrace", options=[option, forged, "--force"]).output
    assert re.search(r"in main \(.*\) at .*main\.cc:\d+", shown), shown


def test_the_facts_of_a_debug_file_are_its_own(site: Site, symbols: Path) -> None:
    """Its program headers are those of the library, and lead to bytes of something else."""
    library = next((site.root / "lib/x86_64-linux-gnu").glob("libc[.-]*so*"))
    build_id = read_elf(str(library)).build_id or ""
    facts = read_elf(str(symbols / "libc/usr/lib/debug/.build-id" / build_id[:2] / f"{build_id[2:]}.debug"))
    assert (facts.build_id, facts.has_debug_info, facts.interpreter, facts.needed) == (build_id, True, None, ())


def test_files_of_one_name_that_only_root_may_read(lab: Lab, bundle: Path, symbols: Path, tmp_path: Path) -> None:
    """For a container, whose user is not root, both are copied."""
    libc = next(each for each in read_manifest(bundle).modules if re.search(r"/libc[.-][^/]*$", each.path))
    places = [
        symbols / "libc/usr/lib/debug" / debug_path(str(libc.build_id.memory)),
        symbols / "ours/whatever it is called",
    ]
    for number, path in enumerate(places):
        target = tmp_path / str(number) / "the same name"
        target.parent.mkdir()
        shutil.copy(path, target)
        target.chmod(0o600)
    backtrace_has_all(lab.gdb(bundle, "docker", "backtrace", options=["--symbols", tmp_path]).output)


def test_a_debian_package_as_it_is(fresh_lab: Lab, bundle: Path, debug_package: Path, symbols: Path) -> None:
    """Only the debug files of mapped modules are unpacked, and the second time none."""
    options = ["--symbols", debug_package, "--symbols", symbols / "ours"]
    backtrace_has_all(fresh_lab.gdb(bundle, "bubblewrap", "backtrace", options=options).output)
    kept = {path: path.stat().st_ino for path in (fresh_lab.home / "cache").rglob("*.debug")}
    build_ids = {each.build_id.memory for each in read_manifest(bundle).modules}
    assert kept
    assert {read_elf(str(path)).build_id for path in kept} <= build_ids
    fresh_lab.gdb(bundle, "bubblewrap", "backtrace", options=options)
    assert {path: path.stat().st_ino for path in kept} == kept


def test_an_rpm_and_a_tar_file(lab: Lab, bundle: Path, site: Site, symbols: Path, tmp_path: Path) -> None:
    twin = tmp_path / "payload"
    twin.mkdir()
    shutil.copy(symbols / "ours/whatever it is called", twin / "app")
    (twin / "readme").write_text("no program")
    package, tarball = make_rpm(twin, tmp_path), tmp_path / "release.tar.zst"
    subprocess.run(["tar", "--zstd", "-cf", tarball, "-C", twin, "."], check=True)
    for place in (package, tarball):
        shown = lab.gdb(bundle, "bubblewrap", "backtrace", options=["--symbols", place]).output
        assert re.search(r"in main \(.*\) at .*main\.cc:\d+", shown), shown


SPEC = """
Name: app-debuginfo
Version: 1
Release: 1
Summary: what rpmbuild asks for
License: none
AutoReqProv: no
%define debug_package %{{nil}}
%define __os_install_post %{{nil}}
%description
What rpmbuild asks for.
%install
mkdir -p %{{buildroot}}/usr/lib/debug
cp {payload}/* %{{buildroot}}/usr/lib/debug
%files
/usr/lib/debug
"""


def make_rpm(payload: Path, work: Path) -> Path:
    spec = work / "app.spec"
    spec.write_text(SPEC.format(payload=payload))
    subprocess.run(
        ["rpmbuild", "-bb", "--quiet", "--define", f"_topdir {work}/rpm", spec], check=True, capture_output=True
    )
    (package,) = (work / "rpm").rglob("*.rpm")
    return package


def test_by_debuglink_where_there_is_no_build_id(lab: Lab, tmp_path: Path) -> None:
    """The checksum decides: a file of the same name that is another is passed over."""
    app, debug = tmp_path / "site/app", tmp_path / "debug/app.debug"
    for folder in (app.parent, debug.parent, tmp_path / "wrong"):
        folder.mkdir()
    compile_c(FAILS, app, "-Wl,--build-id=none")
    subprocess.run(["objcopy", "--only-keep-debug", app, debug], check=True)
    subprocess.run(["objcopy", "--strip-all", f"--add-gnu-debuglink={debug}", app], check=True)
    compile_c(FAILS.replace("fail", "other"), tmp_path / "wrong/app.debug", "-Wl,--build-id=none")
    subprocess.run([app], cwd=app.parent, check=False)
    (core,) = app.parent.glob("core*")
    bundle = tmp_path / "app.corebox"
    assert lab.corebox("gather", core, "-o", bundle).status in (0, 1)
    assert "??" in lab.gdb(bundle, "bubblewrap", "backtrace", options=["--symbols", tmp_path / "wrong"]).output
    shown = lab.gdb(bundle, "bubblewrap", "backtrace", options=["--symbols", tmp_path / "wrong", "--symbols", debug])
    assert re.search(r"fail \(\) at .*:1\b", shown.output), shown.output


def test_what_dwz_shares_comes_along(lab: Lab, tmp_path: Path) -> None:
    """Two programs whose common types dwz has moved into a third file."""
    types = "".join(f"struct s{n} {{ int a{n}; struct s{max(0, n - 1)} *p; }};\n" for n in range(60))
    source = (
        types
        + "struct s59 common;\nvoid fail(void) { *(volatile int *)0 = 1; }\nint main(void) { fail(); return 0; }\n"
    )
    debug = tmp_path / "debug"
    for folder in (tmp_path / "site", debug):
        folder.mkdir()
    for name in ("one", "two"):
        compile_c(source, tmp_path / name)
    options: list[str | Path] = ["-m", debug / "common.debug", "-M", "/nowhere/common.debug"]
    subprocess.run(["dwz", *options, tmp_path / "one", tmp_path / "two"], check=True)
    assert read_elf(str(tmp_path / "one")).debugaltlink
    app = tmp_path / "site/one"
    subprocess.run(["objcopy", "--only-keep-debug", tmp_path / "one", debug / "one.debug"], check=True)
    subprocess.run(["strip", "-o", app, tmp_path / "one"], check=True)
    subprocess.run([app], cwd=app.parent, check=False)
    (core,) = app.parent.glob("core*")
    bundle = tmp_path / "one.corebox"
    lab.done("gather", core, "-o", bundle)
    shown = lab.gdb(bundle, "bubblewrap", "backtrace", "ptype struct s59", options=["--symbols", debug])
    assert re.search(r"fail \(\) at ", shown.output), shown.output
    assert "int a59;" in shown.output
    assert "could not find" not in shown.errors


@pytest.mark.parametrize("content", [b"no archive", b"!<arch>\n" + b"\xff" * 100, b"\xed\xab\xee\xdb" + b"\xff" * 400])
def test_what_is_no_place_for_symbols_is_an_error(lab: Lab, bundle: Path, tmp_path: Path, content: bytes) -> None:
    place = tmp_path / "place"
    place.write_bytes(content)
    refused = lab.corebox("shell", bundle, "--engine", "bubblewrap", "--symbols", place, "--", "-batch")
    assert refused.status == 3
    assert "cannot read symbols from" in refused.errors
