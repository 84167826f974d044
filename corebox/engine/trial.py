"""Whether an engine really runs what we would run: tried once with the smallest program there is.

An engine may answer and yet be of no use: it runs on the other side of a container's wall (a CI job with the machine's
socket), where our paths are not, or are others; it may not be able to start containers at all, or to read our files.
"""

import platform
import struct
from pathlib import Path

from corebox.engine.base import Engine
from corebox.engine.sandbox import Mount, Sandbox
from corebox.errors import HostError

TIME_LIMIT = 60.0  # seconds; a machine under load may take ten for a first container
_STATUS = 42
_PROGRAM = "/.corebox/trial"
# exit(42): mov edi, 42; mov eax, 60; syscall. mov x0, #42; mov x8, #93; svc #0. Then e_machine.
_CODES = {
    "x86_64": (bytes.fromhex("bf2a000000b83c0000000f05"), 62),
    "aarch64": (bytes.fromhex("400580d2a80b80d2010000d4"), 183),
}


def try_engine(engine: Engine, place: Path, program: Path | None = None) -> None:
    """Run a program that lies in ``place``, an empty folder where our other files are too; nothing on other machines.

    ``program`` is where the same program is already.

    Raises:
        HostError: ``engine-unusable`` with what the engine said.
    """
    if platform.machine() not in _CODES:
        return
    root = place / "root"
    if program is None:
        program = place / "trial"
        program.write_bytes(smallest_program(platform.machine()))
        program.chmod(0o755)
    root.mkdir(exist_ok=True)
    for folder in (place, root):
        folder.chmod(0o755)  # a container's user may be another than ours
    try:
        done = engine.run(Sandbox(root, (Mount(program, _PROGRAM),), owner=place), [_PROGRAM], TIME_LIMIT)
    except HostError as error:
        hint = error.hint if error.code == "no-engine" else None
        raise _unusable(engine.name, error.message, hint) from error
    if done.status != _STATUS:
        said = " ".join(done.errors.decode(errors="replace").split())[-300:]
        raise _unusable(engine.name, f"a trial ended with status {done.status} ({said or 'no output'})")


def smallest_program(machine: str) -> bytes:
    """An ELF file without libraries that ends with a status of our own."""
    code, number = _CODES[machine]
    start, header, segment = 0x400000, 64, 56
    identity = b"\x7fELF\x02\x01\x01" + bytes(9)
    entry = start + header + segment
    head = struct.pack("<HHIQQQIHHHHHH", 2, number, 1, entry, header, 0, 0, header, segment, 1, 0, 0, 0)
    size = header + segment + len(code)
    return identity + head + struct.pack("<IIQQQQQQ", 1, 5, 0, start, start, size, size, 0x1000) + code


def _unusable(name: str, why: str, hint: str | None = None) -> HostError:
    message = f"the {name} engine answers but cannot open crashes here: {why}"
    return HostError("engine-unusable", message, hint or _hint(why))


def _hint(why: str) -> str:
    if "does not exist" in why or "no such file" in why.lower():
        return (
            "it does not see this machine's files: make the store available to both under one path (COREBOX_HOME), "
            "or use --engine bubblewrap; see docs/how-to/in-ci-and-kubernetes.md"
        )
    return "use --engine bubblewrap, or repair it; corebox doctor tries it again"
