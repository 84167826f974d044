"""What only the whole system does: systemd cuts a core and notes it in the journal."""

import subprocess
import sys
from pathlib import Path

import pytest

from corebox.unbundle.read import read_manifest
from tests.support.crashes import Program
from tests.support.systemd import SERVICE

pytestmark = pytest.mark.alone

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
    assert "truncated by systemd-coredump, according to the journal" in done.stdout
    truncated = read_manifest(out).core.truncated
    assert truncated is not None
    assert truncated.cut_by == "systemd-coredump"
