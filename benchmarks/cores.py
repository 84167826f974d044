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

/* Half of what is written compresses well, half does not at all. */
static void fill(char *memory, size_t size) {
    uint64_t state = 88172645463325252ull;
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
MiB = 1 << 20


@dataclass(frozen=True)
class Shape:
    """A size of memory, of which ``filled`` bytes in every ``step`` are written."""

    name: str
    size: int
    step: int
    filled: int


MIX = Shape("1 GiB, 40 % holes", 1024 * MiB, 10 * MiB, 6 * MiB)
HUGE = Shape("16 GiB, 400 MiB of data", 16384 * MiB, 64 * MiB, 25 * MiB // 16)
HALF = Shape("8 GiB, 200 MiB of data", 8192 * MiB, 64 * MiB, 25 * MiB // 16)


def crash(shape: Shape, folder: Path, mark: str = "a") -> Path:
    """Crash the program in ``folder``; ``mark`` makes another crash of the same program."""
    folder.mkdir(parents=True, exist_ok=True)
    program = folder.parent / "program" / "fill"
    if not program.exists():
        program.parent.mkdir(exist_ok=True)
        command = ["gcc", "-O2", "-g", "-w", "-pthread", "-x", "c", "-", "-o", str(program)]
        subprocess.run(command, input=_SOURCE.encode(), check=True)
    limits = "ulimit -c unlimited; exec "
    arguments = f"{program} {shape.size} {shape.step} {shape.filled} {mark}"
    subprocess.run(["bash", "-c", limits + arguments], cwd=folder, check=False, stderr=subprocess.DEVNULL)
    (core,) = folder.glob("core*")
    os.sync()
    return core
