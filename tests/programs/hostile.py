"""Runs inside gdb as a customer's auto-load script and tries to get out; prints what it reached.

The test puts PORT, SOCKET and SECRET of its machine in front.
"""

import contextlib
import ctypes
import errno
import fcntl
import mmap
import os
import signal
import socket
import stat
import termios
import time
import tty

import gdb

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


def fill(folder):
    try:
        with open(folder + "/fill", "wb") as file:
            file.writelines(bytes(64 << 20) for _ in range(40))
    finally:
        os.unlink(folder + "/fill")
    return True


def leaked():
    """A folder or socket of the host that was left open, through which there would be a way out."""
    for name in os.listdir("/proc/self/fd"):
        try:
            mode = os.fstat(int(name)).st_mode
        except OSError:
            continue  # the listing's own
        if stat.S_ISDIR(mode) or (stat.S_ISSOCK(mode) and int(name) > 2):
            return os.readlink("/proc/self/fd/" + name)
    return None


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


def local(family, kind=socket.SOCK_STREAM, protocol=0):
    """A socket of a family that no network namespace shuts in, or that a hole in the kernel is often found in."""
    socket.socket(family, kind, protocol).close()
    return True


def held(flags):
    """Memory that no limit of a process counts."""
    return len(mmap.mmap(-1, 1 << 20, flags=flags))


def typed(request):
    """A character put into the terminal's input; that there is no terminal here is not the filter's refusal."""
    done = libc.syscall(16, 0, ctypes.c_ulong(request), b"\n") == 0
    return done or ctypes.get_errno() != errno.EPERM


def told(path):
    """What the machine tells about itself and its keys."""
    with open(path, "rb") as file:
        return file.read(100) or None


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
for folder in ("/.corebox/tmp", "/tmp", "/dev/shm"):
    attempt("fill " + folder, lambda folder=folder: fill(folder))
attempt("descriptors", leaked)
attempt("the root of the first process", lambda: open("/proc/1/root" + SECRET).read())
attempt("the root of the parent", lambda: open("/proc/%d/root%s" % (os.getppid(), SECRET)).read())
attempt("write the first process's program", lambda: write("/proc/1/exe"))
for path in ("/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger"):
    attempt("open for writing " + path, lambda path=path: os.open(path, os.O_WRONLY))  # no more: it would do harm
attempt("remount", lambda: libc.mount(None, b"/", None, 0x1020, None) == 0)  # MS_REMOUNT | MS_BIND, writable
attempt("memory", lambda: len(bytearray(1 << 36)))
attempt("fork bomb", fork_bomb)
for family in ("AF_NETLINK", "AF_PACKET", "AF_ALG", "AF_VSOCK", "AF_CAN", "AF_BLUETOOTH", "AF_TIPC", "AF_RDS"):
    kind = socket.SOCK_SEQPACKET if family in ("AF_ALG", "AF_RDS") else socket.SOCK_RAW
    for each in (kind, socket.SOCK_STREAM):
        attempt(family, lambda family=family, each=each: local(getattr(socket, family), each))
for high in (0, 1 << 32):  # the kernel looks at the low word alone (CVE-2019-10063)
    attempt("TIOCSTI", lambda high=high: typed(termios.TIOCSTI | high))
attempt("io_uring", lambda: libc.syscall(425, 8, ctypes.create_string_buffer(4096)) >= 0)
attempt("System V shared memory", lambda: libc.shmget(0, 1 << 20, 0o1600) >= 0)
attempt("System V messages", lambda: libc.msgget(0, 0o1600) >= 0)
attempt("memory file", lambda: os.memfd_create("x"))
attempt("shared memory", lambda: held(mmap.MAP_SHARED | mmap.MAP_ANONYMOUS))
attempt("shared memory, checked", lambda: held(3 | mmap.MAP_ANONYMOUS))  # MAP_SHARED_VALIDATE
attempt("memory that counts as a stack", lambda: held(mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x100))
for name in ("keys", "key-users", "kallsyms", "cmdline", "modules", "config.gz", "partitions"):
    attempt("read /proc/" + name, lambda name=name: told("/proc/" + name))
for name in ("/proc/sys/kernel/random/boot_id", "/proc/sys/kernel/core_pattern", "/sys/class/net/lo/address"):
    attempt("read " + name, lambda name=name: told(name))
print("tried everything")


def spoil(_event):
    """Leave the terminal in as bad a state as can be, and make it answer when nobody but the shell will listen."""
    for char in b"\necho owned\n":
        for request, argument in ((termios.TIOCSTI, bytes([char])), (0x541C, b"\x03")):  # TIOCLINUX: 3 pastes
            with contextlib.suppress(OSError):
                fcntl.ioctl(0, request, argument)
    bad = b"\x1b[?1049h\x1b[?25l\x1b[?1003h\x1b[?2004h\x1b(0\x1b[31;40m\x1b[5;6r\x1b]0;owned\x07\x1b[6n"
    os.write(1, bad + b"spoilt\n")
    tty.setraw(0)
    time.sleep(1)


if os.isatty(0):
    gdb.events.gdb_exiting.connect(spoil)
