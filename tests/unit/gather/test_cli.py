"""The gatherer as a program: what it says, what it leaves, how it ends."""

import gzip
import io
import json
import lzma
import os
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from corebox.gather.cli import main
from corebox.gather.job import default_name, gather
from corebox.gather.options import make_parser
from corebox.gather.progress import ProgressLine, describe_progress
from corebox.gather.zipapp import make_zipapp
from corebox.unbundle.read import BundleReader, read_manifest
from corebox.unbundle.verify import verify_bundle
from tests.unit.gather.sites import EXECUTABLE, LIBC, OTHER_ID, put, put_elf


def run(core: Path, root: Path, *more: str) -> int:
    return main([str(core), "--root", str(root), "--no-nice", *more])


def test_everything_proved_is_status_0_and_a_summary_for_the_phone(
    core_path: Path, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "x.corebox"
    assert run(core_path, root, "-o", str(out)) == 0
    lines = dict(line.split(":", 1) for line in capsys.readouterr().out.splitlines())
    assert lines["crash"].startswith("     /opt/corebox-cores/dynamic (pid ")
    assert lines["crash"].endswith("): SIGSEGV at address 0xdead0, 2 threads")
    assert lines["system"] == "    Debian 12 (bookworm), x86_64"
    assert lines["modules"] == "   3 verified"
    assert lines["result"] == "    exact: every file matches the crashed process"
    with BundleReader(out) as reader:
        identity = reader.unpack(tmp_path / "out").identity
    assert lines["identity"] == "  " + identity


def test_mismatch_is_status_1_and_named(
    core_path: Path, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put_elf(root, LIBC, OTHER_ID)
    assert run(core_path, root, "-o", str(tmp_path / "x.corebox")) == 1
    printed = capsys.readouterr().out
    assert f"MISMATCH: {LIBC}" in printed
    assert f"in the crashed process 93ac61ec5a8eb1396f9fbd350e3169a558528a40, in the file {OTHER_ID}" in printed
    assert "result:    NOT EXACT" in printed


def test_what_to_do_is_said_once_however_many_modules_are_missing(
    core_path: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in (EXECUTABLE, LIBC):
        Path(str(root) + name).unlink()
    assert run(core_path, root, "--dry-run") == 1
    printed = capsys.readouterr().out
    assert printed.count("  MISSING: ") == 2
    assert printed.count("--container NAME") == 1
    assert printed.count("-e EXECUTABLE") == 1


def test_a_file_that_was_asked_for_and_is_not_there_is_status_1(
    core_path: Path, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(root, "/var/log/app.log", b"42\n")
    words = ("--with", "/var/log/app.log", "--with", "/var/log/none", "-o", str(tmp_path / "x.corebox"))
    assert run(core_path, root, *words[:2], *words[4:]) == 0
    assert run(core_path, root, *words) == 1
    printed = capsys.readouterr().out
    assert "not found: /var/log/none: no such file" in printed
    assert "result:    INCOMPLETE: " in printed
    assert run(core_path, root, "--dry-run", "--json", *words) == 1
    document = json.loads(capsys.readouterr().out)
    assert (document["exact"], document["lacking"]) == (True, ["/var/log/none"])


def test_an_image_is_not_taken_for_the_files_of_a_system(
    core_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    image = tmp_path / "image.tar"
    subprocess.run(["tar", "-C", tmp_path, "-cf", image, "oci-layout"], check=True)
    assert run(core_path, image, "--dry-run") == 3
    assert "contains a layered image" in capsys.readouterr().err


def test_json_carries_counts_bundle_and_manifest(
    core_path: Path, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "x.corebox"
    assert run(core_path, root, "-o", str(out), "--json") == 0
    printed = json.loads(capsys.readouterr().out)
    assert (printed["version"], printed["exact"]) == (1, True)
    assert printed["verdicts"] == {"verified": 3, "mismatch": 0, "cannot-verify": 0, "missing": 0}
    assert printed["bundle"]["size"] == out.stat().st_size
    assert printed["manifest"] == read_manifest(out).to_json()


@pytest.mark.parametrize(
    ("options", "warned"),
    [((), True), (("--slim",), True), (("--dry-run",), True), (("--json",), True), (("--no-core",), False)],
    ids=lambda value: " ".join(value) or "plain" if isinstance(value, tuple) else None,
)
def test_who_sends_a_core_is_told_once_what_may_be_in_it(
    core_path: Path,
    root: Path,
    tmp_path: Path,
    options: tuple[str, ...],
    warned: bool,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Unless it is encrypted: tests/integration/test_gather_encrypted.py."""
    assert run(core_path, root, "-o", str(tmp_path / "x.corebox"), *options) == 0
    printed = capsys.readouterr()
    warnings = [line for line in printed.err.splitlines() if line.startswith("warning: ")]
    assert len(warnings) == warned
    assert ("passwords" in printed.err) == warned
    for way in ("--slim", "--redact", "--encrypt-to"):
        assert (way in printed.err) == warned
    if "--json" in options:
        assert [f"warning: {json.loads(printed.out)['warning']}"] == warnings


@pytest.mark.parametrize("option", ["--list", "--dry-run"])
def test_a_look_writes_nothing(
    core_path: Path, root: Path, tmp_path: Path, option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(tmp_path.iterdir())
    assert run(core_path, root, option, "-o", str(tmp_path / "x.corebox")) == 0
    assert sorted(tmp_path.iterdir()) == before
    assert ("libc.so.6" in capsys.readouterr().out) == (option == "--list")


def test_name_of_the_bundle_comes_from_program_and_process(
    core_path: Path, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(core_path, root) == 0
    (bundle,) = tmp_path.glob("*.corebox")
    manifest = read_manifest(bundle)
    assert bundle.name == f"dynamic-{manifest.process.pid}.corebox" == default_name(manifest)


def test_hostile_program_name_stays_in_the_directory(core_path: Path, root: Path, tmp_path: Path) -> None:
    run(core_path, root, "-o", str(tmp_path / "x.corebox"))
    manifest = read_manifest(tmp_path / "x.corebox")
    hostile = manifest.process._replace(executable=None, name="../\x1b[2J-x")
    assert default_name(manifest._replace(process=hostile)).startswith("_2J-x-") is False
    assert "/" not in default_name(manifest._replace(process=hostile))


def test_core_can_stay_at_the_site(core_path: Path, root: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.corebox"
    assert run(core_path, root, "-o", str(out), "--no-core") == 0
    with BundleReader(out) as reader:
        assert not reader.manifest.core.included
        assert reader.unpack(tmp_path / "out").core is None


@pytest.mark.parametrize("suffix", ["gz", "xz"])
def test_compressed_core_gives_the_same_bundle(core_path: Path, root: Path, tmp_path: Path, suffix: str) -> None:
    packed = tmp_path / ("core." + suffix)
    data = core_path.read_bytes()
    packed.write_bytes(gzip.compress(data) if suffix == "gz" else lzma.compress(data))
    os.utime(packed, ns=(core_path.stat().st_mtime_ns, core_path.stat().st_mtime_ns))
    identities = []
    for number, core in enumerate((core_path, packed)):
        out = tmp_path / f"{number}.corebox"
        assert run(core, root, "-o", str(out)) == 0
        with BundleReader(out) as reader:
            identities.append(reader.unpack(tmp_path / str(number)).digests["core.digests"])
    assert identities[0] == identities[1]
    assert not list(tmp_path.glob(".corebox*"))


ERRORS = [
    (["CORE", "--pid", "1"], 2, "error: more than one core is given"),
    (["TEXT"], 3, "is not a core"),
    (["/none/core"], 3, "/none/core"),
    (["CORE", "-e", "/none"], 3, "there is no file /none"),
    (["CORE", "-o", "/none/x.corebox"], 4, "cannot write into /none"),
    (["CORE", "--root", "/none"], 3, "/none is not a directory"),
    (["CORE", "--encrypt-to", "/none"], 2, "/none is neither an age key"),
    (["--coredumpctl", "--coredump-dir", "/none"], 3, "cannot read /none"),
    (["--pid", "999999999"], 3, "process 999999999 does not exist"),
]


@pytest.mark.parametrize(("arguments", "status", "message"), ERRORS, ids=lambda item: str(item)[:40])
def test_each_failure_has_a_message_a_hint_and_a_status(
    core_path: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    status: int,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "TEXT").write_text("no core at all")
    words = [str(core_path) if word == "CORE" else word for word in arguments]
    assert main(words) == status
    error, hint = capsys.readouterr().err.splitlines()
    assert message in error
    assert hint.startswith("hint: ")
    assert [path.name for path in tmp_path.iterdir()] == ["TEXT"]


def test_full_disk_is_noticed_before_writing(
    core_path: Path, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = os.statvfs(tmp_path)
    full = os.statvfs_result((*real[:4], 1, *real[5:]))  # f_bavail: one free block
    monkeypatch.setattr(os, "statvfs", lambda path: full)
    assert run(core_path, root, "-o", str(tmp_path / "x.corebox")) == 4
    assert "free, the bundle may need" in capsys.readouterr().err
    assert not (tmp_path / "x.corebox").exists()


def test_archive_of_a_root_is_as_good_as_a_directory(core_path: Path, root: Path, tmp_path: Path) -> None:
    archive = tmp_path / "root.tar.gz"
    subprocess.run(["tar", "-czf", str(archive), "-C", str(root), "."], check=True)
    assert run(core_path, archive, "-o", str(tmp_path / "x.corebox")) == 0
    assert not list(tmp_path.glob(".corebox*"))


def test_hostile_archive_stays_in_its_directory(core_path: Path, root: Path, tmp_path: Path) -> None:
    put(root, "/../victim", b"precious")
    archive = tmp_path / "root.tar"
    (root / "out").symlink_to("/")
    subprocess.run(["tar", "-cPf", str(archive), "-C", str(root), "../victim", "out", "lib", "usr", "opt"], check=True)
    (tmp_path / "victim").write_bytes(b"untouched")
    assert run(core_path, archive, "--list") == 0
    assert (tmp_path / "victim").read_bytes() == b"untouched"


def test_zipapp_is_made_the_same_twice_and_runs_alone(tmp_path: Path, core_path: Path, root: Path) -> None:
    one, two = tmp_path / "one.pyz", tmp_path / "two.pyz"
    make_zipapp(str(one))
    old = os.umask(0o077)
    try:
        make_zipapp(str(two))
    finally:
        os.umask(old)
    assert one.read_bytes() == two.read_bytes()
    command = [sys.executable, "-I", "-S", str(one), str(core_path), "--root", str(root), "--dry-run"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert "modules:   3 verified" in done.stdout


def test_slim_core_is_smaller_and_still_proved(
    core_path: Path, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "x.corebox"
    assert run(core_path, root, "-o", str(out), "--slim") == 0
    manifest = read_manifest(out)
    assert manifest.core.original_stored is not None
    assert manifest.core.stored < manifest.core.original_stored
    assert "  slim: " in capsys.readouterr().out
    assert verify_bundle(out).ok
    assert not list(tmp_path.glob(".corebox*"))


def test_progress_tells_bytes_rate_and_time_left() -> None:
    assert describe_progress(1_200_000_000, 4_000_000_000, 4.0) == "1.2 GB of 4.0 GB, 300.0 MB/s, 9 s left"
    assert describe_progress(0, 5000, 0.0) == "0 bytes of 5.0 kB, 0 bytes/s"


def test_progress_is_for_terminals_only() -> None:
    stream = io.StringIO()
    line = ProgressLine(stream)
    line(1, 2)
    line.clear()
    assert stream.getvalue() == ""


def test_progress_counts_both_times_that_the_core_is_read(core_path: Path, root: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []

    class Counts(ProgressLine):
        def __call__(self, done: int, total: int) -> None:
            seen.append((done, total))

    options = make_parser().parse_args([str(core_path), "--root", str(root), "--no-nice", "-o", str(tmp_path / "x")])
    manifest = gather(options, Counts(io.StringIO())).manifest
    counts = [done for done, _ in seen]
    assert counts == sorted(counts)
    assert counts[0] <= manifest.core.stored
    assert seen[-1] == (counts[-1], counts[-1])
    assert counts[-1] > manifest.core.stored + sum(file.size for file in manifest.files)


def test_environment_and_any_text_can_be_blanked(
    core_path: Path, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert b"hunter2-hunter2" in core_path.read_bytes()
    assert b"second" in core_path.read_bytes()
    out = tmp_path / "x.corebox"
    assert run(core_path, root, "-o", str(out), "--redact", "env", "--redact", "second") == 0
    with BundleReader(out) as reader:
        manifest = reader.manifest
        core = reader.unpack(tmp_path / "out").core
    assert core is not None
    assert b"hunter2-hunter2" not in core.read_bytes()
    assert b"second" not in core.read_bytes()
    assert manifest.core.size == core_path.stat().st_size
    assert manifest.process.arguments == "./dynamic first ******"
    assert manifest.core.redacted
    assert f"  redacted: {manifest.core.redacted} places blanked" in capsys.readouterr().out
    assert verify_bundle(out).ok


def test_slim_and_blanked_go_together(core_path: Path, root: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.corebox"
    assert run(core_path, root, "-o", str(out), "--slim", "--redact", "env") == 0
    with BundleReader(out) as reader:
        core = reader.unpack(tmp_path / "out").core
    assert core is not None
    assert b"hunter2-hunter2" not in core.read_bytes()
    assert verify_bundle(out).ok


def test_output_may_be_a_directory(core_path: Path, root: Path, tmp_path: Path) -> None:
    place = tmp_path / "bundles"
    place.mkdir()
    assert run(core_path, root, "-o", str(place)) == 0
    assert [path.suffix for path in place.iterdir()] == [".corebox"]


def test_termination_leaves_nothing_half_made(core_path: Path, root: Path, tmp_path: Path) -> None:
    """Ended while it decompresses, which takes a while."""
    place = tmp_path / "out"
    place.mkdir()
    big = place / "core.gz"
    with gzip.open(big, "wb", compresslevel=1) as file:
        file.write(core_path.read_bytes() + os.urandom(16 << 20))
    command = [sys.executable, "-m", "corebox.gather", str(big), "--root", str(root), "-o", str(place / "x.corebox")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as child:
        while child.poll() is None and not list(place.glob(".corebox*")):
            time.sleep(0.005)
        child.terminate()
        assert child.stderr
        assert "interrupted; no partial files were left behind" in child.stderr.read()
    assert child.returncode == 130
    assert [path.name for path in place.iterdir()] == ["core.gz"]


@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
def test_bundle_does_not_depend_on_the_locale(core_path: Path, root: Path, tmp_path: Path, locale: str) -> None:
    """Python 3.6 takes names in the C locale for ASCII; so does a newer one that is told to."""
    log = os.fsdecode(b"/var/\xc3\xa9\xff.log")
    put(root, log, b"42")
    put(root, "/usr/lib/os-release", 'ID=debian\nPRETTY_NAME="Debián"\n'.encode())
    out = tmp_path / "x.corebox"
    words = [str(core_path), "--root", str(root), "--with", log, "-o", str(out)]
    environment = {"LC_ALL": locale, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PATH": os.environ["PATH"]}
    subprocess.run([sys.executable, "-m", "corebox.gather", *words], env=environment, check=True, capture_output=True)
    with BundleReader(out) as reader:
        assert log in [entry.path for entry in reader.manifest.files]
        assert reader.manifest.site.os_release["PRETTY_NAME"] == "Debián"
        assert Path(str(reader.unpack(tmp_path / "out").root) + log).read_bytes() == b"42"


def test_who_has_a_bundle_is_told_how_to_send_and_open_it(
    core_path: Path, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(core_path, root, "-o", str(tmp_path / "x.corebox")) == 0
    out = tmp_path / "x.corebox"
    assert capsys.readouterr().out.endswith(
        f"next:      send {out} to whoever asked for it\n"
        "           whoever receives it opens it with: corebox shell x.corebox\n"
    )
    assert run(core_path, root, "--dry-run") == 0
    assert "next:" not in capsys.readouterr().out


def test_a_bundle_is_not_gathered_again(
    core_path: Path, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = tmp_path / "x.corebox"
    assert run(core_path, root, "-o", str(bundle)) == 0
    assert run(bundle, root) == 3
    assert (
        f"{bundle} is not a core file: it is a bundle already\nhint: open it: corebox shell {bundle}\n"
        in capsys.readouterr().err
    )


def test_what_is_compressed_and_no_core_has_its_own_name(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "log.gz"
    of_esp_idf = struct.pack("<IIIII", 20000, 0x0102, 5, 340, 0x20000).ljust(20000, b"x")
    for data, kind in ((b"no core", "not an ELF file\n"), (of_esp_idf, "an ESP-IDF core dump, the memory of a")):
        path.write_bytes(gzip.compress(data))
        assert run(path, root) == 3
        assert f"error: {path} is not a core file: it is {kind}" in capsys.readouterr().err


def test_a_text_that_is_not_there_is_not_said_to_be_blanked(
    core_path: Path, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(core_path, root, "-o", str(tmp_path), "--redact", "no such text in this core") == 0
    assert "  redacted: 0 places blanked: the named text is not in the core" in capsys.readouterr().out
