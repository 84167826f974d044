"""Customers' sites of other architectures: a root with a cross compiler's libraries, in which a program crashes.

i386 runs on the processor itself; the others under qemu-user, which writes the core. qemu-user has none for riscv64.
"""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.support.programs import FOLDER

PROGRAM = "/opt/acme/bin/orders"


@dataclass(frozen=True)
class Architecture:
    """As qemu names it, and as the compiler does; ``loader`` is its dynamic linker; ``native`` runs without qemu."""

    name: str
    compiler: str
    loader: str
    native: bool = False

    def crash(self, folder: Path) -> tuple[Path, Path]:
        """The root and the core of a crash in it."""
        root, program = folder / "root", folder / "root" / PROGRAM.lstrip("/")
        program.parent.mkdir(parents=True)
        compile_program = [f"{self.compiler}-gcc", "-g", "-O1", "-pthread", "-o", str(program), "orders.c"]
        subprocess.run(compile_program, check=True, cwd=FOLDER / "orders")
        (root / "lib").mkdir()
        for name in (Path(self.loader).name, "libc.so.6", "libthread_db.so.1"):
            shutil.copy(f"/usr/{self.compiler}/lib/{name}", root / "lib" / name)
        if self.loader.startswith("/lib64/"):
            (root / "lib64").symlink_to("lib")
        # The program sees itself at its own path, as it does at a customer's.
        qemu = f'mount --bind "$0/opt" /opt && exec qemu-{self.name} -L "$0" {PROGRAM}'
        run = f'exec chroot "$0" {PROGRAM}' if self.native else qemu
        words = ["unshare", "--mount", "sh", "-c", "ulimit -c unlimited; " + run, str(root)]
        subprocess.run(words, cwd=folder, check=False, capture_output=True)
        (core,) = root.glob("core*") if self.native else folder.glob("qemu_*.core")
        return root, core


ARCHITECTURES = (
    Architecture("aarch64", "aarch64-linux-gnu", "/lib/ld-linux-aarch64.so.1"),
    Architecture("ppc64le", "powerpc64le-linux-gnu", "/lib64/ld64.so.2"),
    Architecture("s390x", "s390x-linux-gnu", "/lib/ld64.so.1"),
    Architecture("i386", "i686-linux-gnu", "/lib/ld-linux.so.2", native=True),
)
