"""What this machine's kernel has not: control groups of version 2, and what keeps users and jobs from namespaces."""

import sys
from pathlib import Path

import pytest

from tests.support.kernel import run_in_kernel

DELEGATE = "echo +memory +pids > /sys/fs/cgroup/cgroup.subtree_control"
#: As systemd gives a part of the tree to a user: what is below belongs to him, and so does the group of his shell.
TO_A_USER = f"""{DELEGATE}
mkdir -p /sys/fs/cgroup/app/shell
echo +memory +pids > /sys/fs/cgroup/app/cgroup.subtree_control
chown -R 1000 /sys/fs/cgroup/app"""
AS_A_USER = ("setpriv", "--reuid=1000", "--regid=1000", "--clear-groups")
IN_HIS_GROUP = ("sh", "-c", 'echo $$ > /sys/fs/cgroup/app/shell/cgroup.procs && exec "$@"', "sh", *AS_A_USER)
DOCTOR = (sys.executable, "-m", "corebox", "doctor")
#: The largest that the group grew to, of which it was told what it may have, and what is left of it in the end.
FILL = """
import threading, time
from pathlib import Path
from corebox.engine.choose import choose_engine
from corebox.engine.sandbox import Limits, Sandbox
from corebox.errors import HostError
from tests.integration.test_engine_run import HOLDING

def groups(): return [path for path in Path("/sys/fs/cgroup").rglob("corebox-*") if path.is_dir()]
most, ended = 0, threading.Event()
def watch():
    global most
    while not ended.wait(0.05):
        for group in groups():
            try: most = max(most, int((group / "memory.current").read_text()))
            except OSError: pass
watching = threading.Thread(target=watch)
watching.start()
limits = Limits(memory=48 << 20, scratch=8 << 20)
root = Sandbox(Path("/"), environment={"PATH": "/usr/bin:/bin"}, limits=limits, processes=True)
for kind in ("shared", "file"):
    try:
        done = choose_engine("bubblewrap").run(root, ["python3", "-c", HOLDING, kind], 20)
        held = done.output
    except HostError as error:  # at the bound, the kernel may go on for long to look for what could be written out
        assert error.code == "time-limit"
        held = b""
    print(kind, "held" if held else "bounded")
ended.set()
watching.join()
print(f"{most >> 20} MiB of 64 at most, {len(groups())} groups left")
"""


@pytest.mark.parametrize("who", [(), IN_HIS_GROUP], ids=["root", "user"])
def test_a_control_group_of_version_2_bounds_all_memory(tmp_path: Path, who: tuple[str, ...]) -> None:
    done = run_in_kernel(tmp_path, (*who, sys.executable, "-c", FILL), TO_A_USER)
    assert done.output.startswith("shared bounded\nfile bounded\n"), done
    assert done.output.endswith(" MiB of 64 at most, 0 groups left\n")
    assert 32 <= int(done.output.splitlines()[-1].split()[0]) <= 64


def test_doctor_says_whether_a_group_bounds_the_memory(tmp_path: Path) -> None:
    words = "a control group limits the memory of a session"
    for who, bounds in ((IN_HIS_GROUP, True), (AS_A_USER, False)):
        said = run_in_kernel(tmp_path, (*who, *DOCTOR), TO_A_USER).output
        assert "ok  bubblewrap" in said
        assert (words in said, "no control group can be created here" in said) == (bounds, not bounds), said


@pytest.mark.parametrize(
    ("setting", "hint"),
    [
        ("user.max_user_namespaces=0", "sudo sysctl user.max_user_namespaces=15000"),
        ("kernel.unprivileged_userns_clone=0", "sudo sysctl kernel.unprivileged_userns_clone=1"),
    ],
)
def test_the_setting_that_keeps_users_from_namespaces_is_named(tmp_path: Path, setting: str, hint: str) -> None:
    done = run_in_kernel(tmp_path, (*AS_A_USER, *DOCTOR), f"sysctl -q {setting}")
    assert hint in done.output, done


def test_a_job_that_apparmor_confines_is_told_so(tmp_path: Path) -> None:
    """With the rule of Docker's own profile that matters: no mounts."""
    rules = "network, capability, file, umount, signal, ptrace, unix, deny mount,"
    (tmp_path / "profile").write_text(f"profile job flags=(attach_disconnected,mediate_deleted) {{ {rules} }}\n")
    prepare = f"apparmor_parser --skip-cache --replace {tmp_path}/profile; touch /run/.containerenv"
    confined = ("aa-exec", "-p", "job", "--", *DOCTOR)
    said = run_in_kernel(tmp_path, confined, prepare, options=["lsm=apparmor"]).output
    assert "start it with --security-opt apparmor=unconfined;" in said, said
    assert "ok  bubblewrap" in run_in_kernel(tmp_path, DOCTOR, prepare, options=["lsm=apparmor"]).output
