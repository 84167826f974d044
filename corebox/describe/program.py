"""What a crashed program is called, everywhere the same: as it was called, with the file behind it."""

import os
from typing import Dict, FrozenSet, List, NamedTuple, Optional

from corebox.bundle.manifest import Manifest, Site
from corebox.coredump.systems import LINUX

# Interpreters, by the beginning of the file's name, each with its options that have a word of their own behind them.
_INTERPRETERS: Dict[str, FrozenSet[str]] = {
    "python": frozenset(("-W", "-X", "--check-hash-based-pycs")),
    "pypy": frozenset(("-W", "-X")),
    "perl": frozenset(("-I", "-M", "-m")),
    "ruby": frozenset(("-I", "-r", "-C")),
    "node": frozenset(("-r", "--require", "--import", "--loader", "-C", "--conditions")),
    "php": frozenset(("-d", "-c", "-z")),
    "bash": frozenset(("-o", "-O", "--rcfile", "--init-file")),
    "dash": frozenset(("-o",)),
    "lua": frozenset(("-l",)),
    "java": frozenset(("-cp", "-classpath", "--class-path", "-p", "--module-path", "--add-modules")),
    "ld-linux": frozenset(("--library-path", "--preload", "--audit", "--argv0")),
    "ld-2": frozenset(("--library-path", "--preload", "--audit", "--argv0")),
    "ld-musl": frozenset(("--library-path", "--preload", "--argv0")),
    "qemu-": frozenset(("-L", "-E", "-U", "-cpu", "-g", "-s", "-B", "-R")),
}
# Options whose next word is the program, though it is no file; and those that give the program itself in a word.
_NAMES_IT = ("-m", "-jar", "-f")
_IS_IT = ("-c", "-e", "-E", "-p", "-r", "--eval", "--print")
_MAX_ARGUMENTS = 79
_LOADERS = ("ld-linux", "ld-musl", "ld.so", "ld64.so")
_NO_NAMES = ("/proc/", "/dev/fd/", "/dev/std")


class Program(NamedTuple):
    """``called``: the name by which it was started, or its script's; ``file``: the path of what ran, if known."""

    called: str
    file: Optional[str]

    def __str__(self) -> str:
        """``redis-server (/usr/bin/redis-check-rdb)``, or the path alone if it is called so."""
        if self.file is None or os.path.basename(self.file) == self.called:
            return self.file or self.called or "an unknown program"
        return "{} ({})".format(self.called, self.file)


def program_of(manifest: Manifest) -> Program:
    """The program of a crash; ``called`` is empty if nothing is known of it."""
    process = manifest.process
    file = process.executable
    base = os.path.basename(file or "")
    words = (process.arguments or "").split(" ")
    if len(os.fsencode(process.arguments or "")) >= _MAX_ARGUMENTS:
        words[-1:] = []  # the kernel cut it
    words = words or [""]
    called = _executed_as(manifest, os.path.basename(words[0])) or process.name or ""
    # The kernel cuts the name at 15 bytes.
    if (base.startswith(called) and len(os.fsencode(called)) >= 15) or (called.startswith(_LOADERS) and base):
        called = base
    interpreter = next((name for name in _INTERPRETERS if base.startswith(name)), None)
    # Of a script that the kernel started, the name is known already.
    if interpreter and (os.path.basename(words[0]) == called or called.startswith(interpreter)):
        called = _script(words[1:], _INTERPRETERS[interpreter]) or called
    return Program(called or base, file)


def _executed_as(manifest: Manifest, first: str) -> str:
    """The name in the path that was executed, a script's too (AT_EXECFN), which stands last among the names.

    What was executed by descriptor has the ``first`` of its arguments for a name.
    """
    names = next((module.opened_as for module in manifest.modules if module.executable), ())
    if not names:
        return ""
    return first if names[-1].startswith(_NO_NAMES) else os.path.basename(names[-1])


def _script(words: List[str], options: FrozenSet[str]) -> str:
    """The script in a command line, as far as its first 80 bytes have it."""
    while words:
        word, *words = words
        if word in options:
            words = words[1:]
        elif word in _NAMES_IT:
            return os.path.basename(words[0]) if words else ""
        elif word in _IS_IT:
            return ""
        elif word and not word.startswith("-"):
            return os.path.basename(word)
    return ""


def system_name(site: Site) -> str:
    """The system on which it crashed: what os-release calls it, or what wrote the core."""
    known = site.os_release.get("PRETTY_NAME")
    return known or (site.system if site.system not in (None, LINUX) else None) or "unknown"
