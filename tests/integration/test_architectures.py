"""Crashes of other processors than the vendor's: real cores, from gather to report, with the x86-64 toolbox."""

import json
import re
from pathlib import Path

import pytest

from tests.support.architectures import ARCHITECTURES, PROGRAM, Architecture
from tests.support.evidence import sound_report
from tests.support.lab import Lab


@pytest.fixture(scope="module", params=ARCHITECTURES, ids=lambda each: each.name)
def architecture(request: pytest.FixtureRequest) -> Architecture:
    """Each in turn."""
    found: Architecture = request.param
    return found


@pytest.fixture(scope="module")
def crash(architecture: Architecture, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The customer's root and the core."""
    return architecture.crash(tmp_path_factory.mktemp(architecture.name))


@pytest.fixture(scope="module")
def bundle(architecture: Architecture, crash: tuple[Path, Path], lab: Lab) -> Path:
    """What was gathered of its crash, from outside the customer's root."""
    root, core = crash
    out = root.parent / "orders.corebox"
    gathered = lab.corebox("gather", core, "--root", root, "-o", out)
    assert gathered.status == (0 if architecture.from_kernel else 1), gathered.errors
    return out


def test_info_and_verify_know_it(architecture: Architecture, bundle: Path, lab: Lab) -> None:
    manifest = lab.corebox("info", bundle, "--json").json["manifest"]
    process = manifest["process"]
    assert (manifest["site"]["machine"], process["signal_name"]) == (architecture.name, "SIGSEGV")
    assert (process["threads"], process["executable"]) == (3, PROGRAM)
    verdicts = {module["path"]: module["verdict"] for module in lab.corebox("verify", bundle, "--json").json["modules"]}
    # qemu-user keeps no page of the files in the core that a build ID could be in.
    expected = "verified" if architecture.from_kernel else "cannot-verify"
    assert {verdicts[PROGRAM], verdicts["/lib/libc.so.6"]} == {expected}


def test_every_stack_is_whole_in_each_engine(bundle: Path, engine: str, lab: Lab) -> None:
    done = lab.gdb(bundle, engine, "echo answer:\\n", "thread apply all backtrace")
    greeting, _, shown = done.output.partition("answer:\n")
    assert re.search(r"^#0 .* in compare \(", greeting, re.MULTILINE), greeting
    assert "?? ()" not in greeting
    assert "libthread_db" not in done.output + done.errors
    crashed = shown.partition("Thread 1 ")[2]
    for name in ("compare (", "qsort_r () from /lib/libc.so.6", "main () at orders.c:37"):
        assert name in crashed, shown
    assert shown.count("in wait_for_orders (") == 2


def test_thread_local_variables_are_read_or_said_not_to_be(architecture: Architecture, bundle: Path, lab: Lab) -> None:
    shown = lab.gdb(bundle, "bubblewrap", "thread apply all -c print worker_number").output
    expected = ["2", "1", "0"] if architecture.thread_local else []
    assert re.findall(r"^\$\d+ = (\d+)$", shown, re.MULTILINE) == expected, shown


def test_the_report_says_why(architecture: Architecture, crash: tuple[Path, Path], bundle: Path, lab: Lab) -> None:
    report = sound_report(lab, bundle, crash[1], architecture.gdb_alone(*crash))
    assert report["why"]["kind"] == "null-dereference"
    assert any(each["current"] for each in report["disassembly"])
    assert report["signature"] == "SIGSEGV null-dereference in compare < main", "the same on all machines"


def test_the_image_is_for_the_machine_that_its_gdb_runs_on(bundle: Path, lab: Lab) -> None:
    digest = lab.build(bundle)["image_id"].partition(":")[2]
    config = json.loads((lab.home / "oci" / "blobs" / "sha256" / digest).read_bytes())
    assert config["architecture"] == "amd64"
