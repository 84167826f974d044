"""Customers' sites of other architectures: a root with a cross compiler's libraries, in which a program crashes.

i386 runs on the processor itself; the others under qemu-user, which writes the core. It writes none for riscv64: that
root and core were kept by tests/cores/make-riscv64, which boots a kernel.
"""

import shlex
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.support.evidence import Frame, gdb_alone
from tests.support.programs import FOLDER, TOOLBOX_GDB
from tests.support.realcores import CORES

PROGRAM = "/opt/acme/bin/orders"


@dataclass(frozen=True)
class Architecture:
    """A customer's processor.

    Attributes:
        name: qemu's.
        compiler: its name in those of the tools; none if root and core are kept.
        loader: its dynamic linker.
        native: it runs without qemu.
        thread_local: gdb reads thread-local variables: it needs code of its own and gcc's word where they are.
    """

    name: str
    compiler: str = ""
    loader: str = ""
    native: bool = False
    thread_local: bool = False

    @property
    def from_kernel(self) -> bool:
        """Whether a kernel wrote the core."""
        return self.native or not self.compiler

    def crash(self, folder: Path, build: Callable[[str, Path], None] | None = None, *words: str) -> tuple[Path, Path]:
        """The root and the core of a crash in it.

        Args:
            folder: for both.
            build: makes another program, given its compiler and the path.
            words: the program's arguments.
        """
        if not self.compiler:
            subprocess.run(["tar", "xf", CORES / f"{self.name}.tar.xz"], check=True, cwd=folder)
            return folder / "root", folder / "core"
        root, program = folder / "root", folder / "root" / PROGRAM.lstrip("/")
        program.parent.mkdir(parents=True)
        (build or _build_orders)(f"{self.compiler}-gcc", program)
        (root / "lib").mkdir()
        for name in (Path(self.loader).name, "libc.so.6", "libthread_db.so.1"):
            shutil.copy(f"/usr/{self.compiler}/lib/{name}", root / "lib" / name)
        if self.loader.startswith("/lib64/"):
            (root / "lib64").symlink_to("lib")
        command = shlex.join([PROGRAM, *words])
        # The program sees itself at its own path, as it does at a customer's.
        qemu = f'mount --bind "$0/opt" /opt && exec qemu-{self.name} -L "$0" {command}'
        run = f'exec chroot "$0" {command}' if self.native else qemu
        line = ["unshare", "--mount", "sh", "-c", "ulimit -c unlimited; " + run, str(root)]
        subprocess.run(line, cwd=folder, check=False, capture_output=True)
        (core,) = root.glob("core*") if self.native else folder.glob("qemu_*.core")
        return root, core

    def gdb_alone(self, root: Path, core: Path) -> dict[int, list[Frame]]:
        """What a gdb that knows nothing of corebox makes of a crash, given the customer's root."""
        return gdb_alone(core, root / PROGRAM.lstrip("/"), gdb=TOOLBOX_GDB, root=root)


def _build_orders(compiler: str, program: Path) -> None:
    words = [compiler, "-g", "-O1", "-pthread", "-o", str(program), "orders.c"]
    subprocess.run(words, check=True, cwd=FOLDER / "orders")


ARCHITECTURES = (
    Architecture("aarch64", "aarch64-linux-gnu", "/lib/ld-linux-aarch64.so.1"),
    Architecture("ppc64le", "powerpc64le-linux-gnu", "/lib64/ld64.so.2", thread_local=True),
    Architecture("s390x", "s390x-linux-gnu", "/lib/ld64.so.1", thread_local=True),
    Architecture("i386", "i686-linux-gnu", "/lib/ld-linux.so.2", native=True),
    Architecture("riscv64"),
)
