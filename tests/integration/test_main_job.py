"""The main job: a real crash from another distribution, from its core to a gdb prompt with every frame."""

import re
import subprocess
from pathlib import Path

from corebox.coredump.elffile import read_elf
from tests.support.lab import Lab
from tests.support.programs import HOST_GDB
from tests.support.site import Crash, Site

ALL_THREADS = 4  # main and three workers


def test_the_hosts_own_gdb_shows_nothing(crash: Crash) -> None:
    """Why corebox exists."""
    shown = subprocess.run(
        [HOST_GDB, "-nx", "-batch", "-iex", "set debuginfod enabled off", "-ex", "bt", "-c", str(crash.core)],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    assert re.search(r"^#0 .* in \?\? \(\)", shown, re.MULTILINE), shown
    assert "qsort" not in shown
    assert "compare" not in shown


def test_backtrace_leads_through_libc_to_the_caller_of_main(lab: Lab, bundle: Path, any_engine: str) -> None:
    shown = lab.gdb(bundle, any_engine, "bt").output
    assert re.search(r"^#0 .*compare \(left=.*\) at plugin\.cc:8$", shown, re.MULTILINE), shown
    frames = re.findall(r"^#\d+ +0x[0-9a-f]+ in (.*)", shown, re.MULTILINE)
    through_libc = [frame for frame in frames if re.match(r"qsort(_r)? .*libc", frame)]
    assert through_libc, shown
    sort_with, main, *callers = frames[frames.index(through_libc[-1]) + 1 :]
    assert re.match(r"sort_with \(plugin=.*/acme/bin/\.\./plugins/sorter\.so.*\) at stages\.cc:36", sort_with), shown
    assert main == "?? ()", "the executable is stripped"
    assert any(re.match(r"__libc_start_(call_)?main ", caller) for caller in callers), shown


def test_the_unstripped_twin_names_main(lab: Lab, bundle: Path, site: Site, engine: str) -> None:
    twin = site.root / "opt/acme/twin/pipeline"
    result = lab.gdb(bundle, engine, "bt", options=["-e", twin])
    assert re.search(r"in main \(.*\) at main\.cc:9$", result.output, re.MULTILINE), result.output
    assert "stripped" not in result.errors


def test_a_stripped_executable_is_announced_with_what_to_do(lab: Lab, bundle: Path, site: Site, engine: str) -> None:
    errors = lab.gdb(bundle, engine, "bt").errors
    build_id = read_elf(str(site.root / "opt/acme/bin/pipeline")).build_id
    assert "pipeline is stripped: its frames have no names or lines" in errors
    assert f"give the unstripped file of build ID {build_id}: corebox shell -e UNSTRIPPED" in errors


def test_all_threads_and_their_thread_local_variables(lab: Lab, bundle: Path, engine: str) -> None:
    commands = ["info threads", 'thread apply all -q printf "number %d ticket %ld\\n", worker_number, worker_ticket']
    shown = lab.gdb(bundle, engine, *commands).output
    assert "Thread debugging using libthread_db enabled" in shown, shown
    assert len(re.findall(r"^[* ] +\d+ +Thread 0x", shown, re.MULTILINE)) == ALL_THREADS, shown
    values = set(re.findall(r"number (-?\d+) ticket (-?\d+)", shown))
    assert values == {("42", "4242"), ("1", "1001"), ("2", "1002"), ("3", "1003")}, shown


def test_all_modules_are_verified(lab: Lab, bundle: Path) -> None:
    document = lab.done("verify", bundle, "--json").json
    assert document["ok"]
    verdicts = {module["path"]: module["verdict"] for module in document["modules"]}
    assert set(verdicts.values()) == {"verified"}
    assert {"/opt/acme/bin/pipeline", "/opt/acme/lib/libstages.so", "/opt/acme/plugins/sorter.so"} <= set(verdicts)
    assert any("libc" in path for path in verdicts)


def test_an_image_is_verified_as_its_bundle_is(lab: Lab, bundle: Path) -> None:
    image = lab.build(bundle)["image_id"]
    of_image, of_bundle = (lab.done("verify", subject, "--json").json for subject in (image, bundle))
    assert of_image["modules"] == of_bundle["modules"]
    assert of_image["identity"] == of_bundle["identity"]


def test_python36_outside_gathers_what_the_sites_python_gathers(lab: Lab, bundle: Path, bundle36: Path) -> None:
    """Only the kernel's release is known inside alone."""
    inside, outside = (lab.done("info", path, "--json").json["manifest"] for path in (bundle, bundle36))
    del inside["site"]["kernel"], outside["site"]["kernel"]
    assert inside == outside


def test_another_core_of_the_same_program(lab: Lab, bundle: Path, site: Site, engine: str, tmp_path: Path) -> None:
    other = tmp_path / "other.core"
    other.write_bytes(site.crash_pipeline().core.read_bytes())
    other.chmod(0o600)
    shown = lab.gdb(bundle, engine, "bt 1", "info inferiors", options=["-c", other]).output
    assert "compare (left=" in shown, shown


def test_nothing_is_built_twice(fresh_lab: Lab, bundle: Path) -> None:
    first = fresh_lab.build(bundle)
    written = fresh_lab.home.glob("oci/blobs/sha256/*")
    blobs = {path: path.stat().st_mtime_ns for path in written if path.stat().st_size > 1e6}
    second = fresh_lab.build(bundle)
    assert first["image_id"] == second["image_id"]
    assert all(layer["reused"] for layer in second["layers"])
    assert {path: path.stat().st_mtime_ns for path in blobs} == blobs


def test_the_same_image_in_another_store(empty_lab: Lab, lab: Lab, bundle: Path) -> None:
    assert empty_lab.build(bundle)["image_id"] == lab.build(bundle)["image_id"]


def test_gdb_arguments_and_its_status_pass_through(lab: Lab, bundle: Path, engine: str) -> None:
    result = lab.corebox("shell", bundle, "--engine", engine, "--", "-batch", "-ex", "quit 7")
    assert result.status == 7
