"""Runs inside gdb as a customer's auto-load script and tries to get out; prints what it reached.

The test puts PORT, SOCKET and SECRET of its machine in front.
"""

import ctypes
import os
import signal
import socket

libc = ctypes.CDLL(None, use_errno=True)


def attempt(name, action):
    """Print whether the action came through."""
    try:
        result = action()
    except BaseException as error:
        print("refused", name, type(error).__name__, error)
    else:
        print("refused" if result in (-1, None, False) else "REACHED", name, result)


def connect(family, address):
    with socket.socket(family, socket.SOCK_STREAM) as client:
        client.settimeout(2)
        client.connect(address)
        return True


def write(path):
    with open(path, "r+b" if os.path.exists(path) else "wb") as file:
        return file.write(b"x")


def processes():
    names = [open("/proc/%s/cmdline" % pid, "rb").read() for pid in os.listdir("/proc") if pid.isdigit()]
    return any(b"-m\0pytest" in name for name in names) or len(names) > 5


def capabilities():
    lines = open("/proc/self/status").read().splitlines()
    return any(int(line.split()[1], 16) for line in lines if line.startswith(("CapEff", "CapPrm", "CapInh", "CapAmb")))


def fill():
    with open("/.corebox/tmp/fill", "wb") as file:
        file.writelines(bytes(64 << 20) for _ in range(40))
    return True


def fork_bomb():
    """Far more processes than gdb needs; all of them end at once."""
    children = []
    try:
        for _ in range(300):
            child = os.fork()
            if child == 0:
                signal.pause()
            children.append(child)
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    return True


attempt("loopback", lambda: connect(socket.AF_INET, ("127.0.0.1", PORT)))
attempt("abstract socket", lambda: connect(socket.AF_UNIX, SOCKET))
attempt("outside", lambda: connect(socket.AF_INET, ("192.0.2.1", 80)))
for path in (
    "/x",
    "/usr/x",
    "/dev/x",
    "/.corebox/x",
    "/.corebox/core",
    "/.corebox/manifest.json",
    "/.corebox/gdbinit",
    __file__,
):
    attempt("write " + path, lambda path=path: write(path))
attempt("write the debugger", lambda: write("/.corebox/toolbox/bin/gdb"))
attempt("write through /proc/self/exe", lambda: write("/proc/self/exe"))
attempt("secret file", lambda: open(SECRET).read())
attempt("environment", lambda: "COREBOX_TEST_SECRET" in os.environ)
attempt("processes of the host", processes)
attempt("capabilities", capabilities)
attempt("setuid", lambda: os.setuid(0))
attempt("mount", lambda: libc.mount(b"none", b"/.corebox/tmp", b"tmpfs", 0, None))
attempt("user namespace", lambda: libc.unshare(0x10000000) == 0)
attempt("user namespace by clone", lambda: libc.syscall(56, 0x10000011, 0, 0, 0, 0) >= 0)
attempt("chroot", lambda: os.chroot("/"))
attempt("ptrace", lambda: libc.ptrace(16, 1, None, None))
attempt("keyring", lambda: libc.syscall(250, 0, -3, 1, 0, 0))  # KEYCTL_GET_KEYRING_ID of the session's
attempt("new key", lambda: libc.syscall(248, b"user", b"corebox", b"x", 1, -3))
attempt("device", lambda: os.mknod("/.corebox/tmp/null", 0o20666, os.makedev(1, 3)))
attempt("fill the disk", fill)
attempt("memory", lambda: len(bytearray(1 << 36)))
attempt("fork bomb", fork_bomb)
print("tried everything")
