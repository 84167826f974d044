"""Small crashes on this machine, for what the gatherer finds when it comes too late."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.support.programs import FOLDER

PROGRAM = r"""
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
int main(int count, char **words) {
    void *library = dlopen(words[1], RTLD_NOW);
    if (!library) { puts(dlerror()); return 1; }
    if (count > 2 && !strcmp(words[2], "unlink")) unlink(words[1]);
    puts("ready"); fflush(stdout);
    if (count > 2 && !strcmp(words[2], "wait")) for (;;) pause();
    if (count > 2 && !strcmp(words[2], "stay")) if (fork()) for (;;) pause();
    ((int (*)(void))dlsym(library, "fail"))();
    return 0;
}
"""
LIBRARY = "int fail(void) { return *(volatile int *)%d; }\n"


@dataclass(frozen=True)
class Program:
    """A program and the library that it opens; ``core`` appears in ``folder`` when it has crashed."""

    folder: Path
    executable: Path
    library: Path

    def crash(self, *words: str) -> Path:
        """Run until it dies, and return its core."""
        subprocess.run(
            [str(self.executable), str(self.library), *words], cwd=self.folder, check=False, capture_output=True
        )
        (core,) = self.folder.glob("core*")
        return core

    def wait(self) -> "subprocess.Popen[str]":
        """Start it; it hangs with its library mapped."""
        child = subprocess.Popen(
            [str(self.executable), str(self.library), "wait"], cwd=self.folder, stdout=subprocess.PIPE, text=True
        )
        assert child.stdout
        assert child.stdout.readline() == "ready\n"
        return child


def build_program(folder: Path, name: str = "libfail.so", *flags: str) -> Program:
    """Compile program and library, the latter under ``name``; ``flags`` are for the program."""
    folder.mkdir(parents=True, exist_ok=True)
    program = Program(folder, folder / "app", folder / name)
    _compile(PROGRAM, program.executable, "-ldl", *flags)
    build_library(program.library, 1)
    return program


def build_library(path: Path, version: int) -> None:
    """Compile the library in another version and put it there by rename, as package managers do."""
    new = path.parent / "new.so"
    _compile(LIBRARY % version, new, "-shared", "-fPIC")
    new.rename(path)


def build_hostile(folder: Path, known: str) -> Program:
    """A program with all that of a customer's runs inside gdb: a script of its library, and a libthread_db.

    It has a C library of its own, so that the libthread_db beside that is its own as well. ``known`` is what the
    script is told, as Python.
    """
    libc = folder / "libc"
    libc.mkdir(parents=True)
    for name in ("libc.so.6", "ld-linux-x86-64.so.2"):
        shutil.copy(f"/lib/x86_64-linux-gnu/{name}", libc)
    flags = (f"-Wl,--dynamic-linker={libc}/ld-linux-x86-64.so.2", f"-Wl,-rpath,{libc}")
    program = build_program(folder, "libfail.so", *flags)
    script = Path(f"{program.library}-gdb.py")
    script.write_text(known + (FOLDER / "hostile.py").read_text())
    source = (FOLDER / "hostile_thread_db.c").read_text()
    _compile(source, libc / "libthread_db.so.1", "-shared", "-fPIC", f'-DSCRIPT="{script}"')
    return program


def _compile(source: str, out: Path, *flags: str) -> None:
    subprocess.run(["gcc", "-x", "c", "-", "-o", str(out), *flags], input=source, text=True, check=True)


def compile_cxx(source: Path, executable: Path, *flags: str) -> Path:
    """Compile a C++ program."""
    executable.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["g++", "-std=c++17", "-pthread", *flags, "-o", executable, source], check=True)
    return executable
