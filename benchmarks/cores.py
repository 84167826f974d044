"""Two cores that are hard in their own way, from a program that really crashes."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

_SOURCE = r"""
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void *wait_for_ever(void *unused) { for (;;) pause(); }

/* Half of what is written compresses well, half does not at all, with any window: it never repeats. */
static void fill(char *memory, size_t size) {
    static uint64_t state = 88172645463325252ull;
    for (size_t at = 0; at < size; at += 4096) {
        if (at / 4096 % 2) {
            uint64_t *words = (uint64_t *)(memory + at);
            for (int i = 0; i < 512; ++i) {
                state ^= state << 13; state ^= state >> 7; state ^= state << 17;
                words[i] = state;
            }
        } else {
            for (int i = 0; i < 4096; i += 32)
                sprintf(memory + at + i, "record %08zu value %06d", at + i, i);
        }
    }
}

int main(int count, char **arguments) {
    pthread_t thread;
    for (int i = 0; i < 3; ++i) pthread_create(&thread, NULL, wait_for_ever, NULL);
    size_t size = strtoull(arguments[1], NULL, 0), step = strtoull(arguments[2], NULL, 0);
    size_t filled = strtoull(arguments[3], NULL, 0);
    char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    madvise(memory, size, MADV_NOHUGEPAGE);
    for (size_t at = 0; at + filled <= size; at += step) fill(memory + at, filled);
    memory[0] = arguments[4][0];
    *(volatile int *)8 = 1;
}
"""
# Neighbouring pages with unlike rights: each is a mapping, and a segment, of its own.
_SEGMENTS = r"""
#include <sys/mman.h>
int main(void) {
    char *memory = mmap(0, 70000ul * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (long i = 0; i < 70000; i += 2) {
        memory[i * 4096] = 1;
        if (mprotect(memory + i * 4096, 4096, PROT_READ)) return 1;
    }
    *(volatile int *)8 = 1;
}
"""
_MAX_MAPS = Path("/proc/sys/vm/max_map_count")
MiB = 1 << 20


@dataclass(frozen=True)
class Shape:
    """A size of memory, of which ``filled`` bytes in every ``step`` are written."""

    name: str
    size: int
    step: int
    filled: int


MIX = Shape("1 GiB, 40 % holes", 1024 * MiB, 10 * MiB, 6 * MiB)
DENSE = Shape("1 GiB, no holes", 1024 * MiB, 6 * MiB, 6 * MiB)
HUGE = Shape("16 GiB, 400 MiB of data", 16384 * MiB, 64 * MiB, 25 * MiB // 16)
SMALL = Shape("16 MiB", 16 * MiB, 2 * MiB, MiB)
HALF = Shape("8 GiB, 200 MiB of data", 8192 * MiB, 64 * MiB, 25 * MiB // 16)


def crash(shape: Shape, folder: Path, mark: str = "a") -> Path:
    """Crash the program in ``folder``; ``mark`` makes another crash of the same program."""
    folder.mkdir(parents=True, exist_ok=True)
    arguments = f"{shape.size} {shape.step} {shape.filled} {mark}"
    return _run(filler(folder.parent), arguments, folder)


def filler(folder: Path) -> Path:
    """The program itself, made in ``folder`` if it is not there; it takes the numbers of a shape, and a mark."""
    return _compile(_SOURCE, folder / "program" / "fill")


def crash_with_segments(folder: Path) -> Path:
    """Crash a program with some 70,000 mappings in ``folder``; root may have to allow that many."""
    program = _compile(_SEGMENTS, folder / "segments")
    before = _MAX_MAPS.read_text()
    _MAX_MAPS.write_text("200000")
    try:
        return _run(program, "", folder)
    finally:
        _MAX_MAPS.write_text(before)


def _compile(source: str, program: Path) -> Path:
    if not program.exists():
        program.parent.mkdir(parents=True, exist_ok=True)
        command = ["gcc", "-O2", "-g", "-w", "-pthread", "-x", "c", "-", "-o", str(program)]
        subprocess.run(command, input=source.encode(), check=True)
    return program


def _run(program: Path, arguments: str, folder: Path) -> Path:
    command = f"ulimit -c unlimited; exec {program} {arguments}"
    subprocess.run(["bash", "-c", command], cwd=folder, check=False, stderr=subprocess.DEVNULL)
    (core,) = folder.glob("core*")
    os.sync()
    return core
