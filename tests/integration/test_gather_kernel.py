"""What only the whole system does: the kernel calls the handler, systemd cuts a core and notes it in the journal."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from corebox.bundle.read import read_manifest
from corebox.bundle.verify import verify_bundle
from corebox.gather.cli import main
from tests.support.crashes import Program
from tests.support.systemd import SERVICE

pytestmark = pytest.mark.alone

PATTERN = Path("/proc/sys/kernel/core_pattern")
PATIENCE = 60  # seconds


@pytest.fixture
def handler(tmp_path: Path) -> Iterator[Path]:
    """The folder of a handler that the kernel calls for each crash."""
    place = tmp_path / "crashes"
    assert main(["--install-handler", str(place), "--max-bundles", "2"]) == 0
    before = PATTERN.read_text()
    PATTERN.write_text(f"|{place}/corebox-handler %P %t %e\n")
    try:
        yield place
    finally:
        PATTERN.write_text(before)


def crash(program: Program) -> int:
    """Run it until it dies, and return its process ID."""
    died = subprocess.Popen([program.executable, program.library], cwd=program.folder, stdout=subprocess.DEVNULL)
    assert died.wait() < 0
    return died.pid


def wait_for(place: Path, pattern: str) -> Path:
    """The file that the handler leaves; the kernel does not wait for it to end."""
    for _ in range(PATIENCE * 20):
        for found in place.glob(pattern):
            return found
        time.sleep(0.05)
    raise AssertionError(f"no {pattern} in {sorted(place.iterdir())}")


def test_the_kernel_calls_the_handler_for_each_crash(program: Program, handler: Path) -> None:
    for _ in range(3):
        pid = crash(program)
        bundle = wait_for(handler, f"app-{pid}-*.corebox")
        verification = verify_bundle(bundle)
        assert verification.ok
        assert read_manifest(bundle).process.pid == pid
        time.sleep(1)  # the handler counts bundles when it has made one, and orders them by time
    assert len(list(handler.glob("*.corebox"))) == 2
    assert not list(handler.glob("*.core"))
    assert not list(program.folder.glob("core*"))


def test_the_raw_core_is_kept_when_the_handler_cannot_even_start(program: Program, handler: Path) -> None:
    (handler / "corebox-gather.pyz").write_bytes(b"PK damaged")
    pid = crash(program)
    kept = wait_for(handler, f"core.{pid}")
    for _ in range(PATIENCE * 20):
        status = main([str(kept), "-o", str(handler / "x.corebox"), "--no-nice"])
        if status == 0:
            break
        time.sleep(0.05)  # still being written
    assert verify_bundle(handler / "x.corebox").ok


#: systemd's journal and core service as it starts them, in a mount namespace; then the core is read where it is.
SITE = """
set -e
mount -t tmpfs none /run
mount -t tmpfs none /var/log
mkdir -p /run/systemd/journal /var/lib/systemd/coredump /etc/systemd
mount --bind "$1" /var/lib/systemd/coredump
mount --bind "$2" /etc/systemd/coredump.conf
/lib/systemd/systemd-journald & journal=$!
trap 'kill $journal' EXIT
for _ in 1 2 3 4 5 6 7 8 9 10; do [ -S /run/systemd/journal/socket ] && break; sleep 0.3; done
"$3" -c "$4" /lib/systemd/systemd-coredump "$5" "$6"
for _ in 1 2 3 4 5 6 7 8 9 10; do
    journalctl --quiet COREDUMP_PID="$6" | grep -q . && break
    sleep 0.3
done
"$3" -m corebox gather --coredumpctl newest -o "$7"
"""


def test_a_core_that_systemd_cut_is_said_to_be_so(program: Program, tmp_path: Path) -> None:
    """The journal has COREDUMP_TRUNCATED=1; the summary names who cut the core, and the setting."""
    core = program.crash()
    store, settings = tmp_path / "store", tmp_path / "coredump.conf"
    store.mkdir()
    half = core.stat().st_size // 2
    settings.write_text(f"[Coredump]\nCompress=no\nProcessSizeMax={half}\nExternalSizeMax={half}\n")
    if not Path("/etc/systemd/coredump.conf").exists():
        pytest.fail("systemd-coredump is not installed; run: make setup")
    out = tmp_path / "x.corebox"
    with program.wait() as alive:
        words = [store, settings, sys.executable, SERVICE, core, alive.pid, out]
        done = subprocess.run(
            ["unshare", "--mount", "sh", "-c", SITE, "sh", *map(str, words)],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        alive.kill()
    assert done.returncode == 1, done.stdout + done.stderr
    assert "cut by systemd-coredump, which says so in the journal" in done.stdout
    truncated = read_manifest(out).core.truncated
    assert truncated is not None
    assert truncated.cut_by == "systemd-coredump"
