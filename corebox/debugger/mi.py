"""Between a client of gdb's machine interface and gdb in the sandbox (gdb manual, "The GDB/MI Interface").

What the client says is rewritten, never answered here, so that answers come in the order of the questions. What gdb
says is hostile: lines are bounded, and what is not a record of the interface becomes one that shows it as text.
"""

import bisect
import contextlib
import re
import subprocess
import threading
from typing import BinaryIO, NamedTuple

from corebox.debugger.adapter import Client, refusal
from corebox.debugger.session import CORE
from corebox.debugger.sources import SourceFolder, Sources
from corebox.errors import HostError

#: Bytes of one record, and of one with text for the console.
MAX_SIZE, MAX_LENGTH = 16 << 20, 256 << 10

_GRACE = 5  # seconds for gdb to end by itself
_MAX_NAMES = 4096  # files that the client may name as it was told
_LINE = re.compile(r"(\d*)(.*)", re.DOTALL)
_WRAPPED = re.compile(r'-interpreter-exec\s+(?:--\S+\s+\S+\s+)*"?\w+"?\s+(?:"((?:[^"\\]|\\.)*)"|(\S+))\s*')
#: Options that go with any command (gdb manual, "Context management").
_CONTEXT = r"\s+(?:--(?:thread-group|thread|frame|language)\s+\S+\s+)*"
_RUNS = re.compile(
    r"-(exec-(?:run|continue|next|next-instruction|step|step-instruction|finish|until|advance|return|jump|interrupt|"
    r"abort)|target-attach)\b"
)
_OPENS_CORE = re.compile(rf"(?:-target-select{_CONTEXT}core|target core|core-file|core)\b")
_OTHER_TARGET = re.compile(rf"-target-select{_CONTEXT}(\S+)")
_OPENS_PROGRAM = re.compile(
    r"(?:-file-exec-and-symbols|-file-exec-file|-file-symbol-file|file|exec-file|symbol-file)\b"
)
_PLACES = re.compile(
    rf"(?:-gdb-set{_CONTEXT}|set\s+)(sysroot|solib-absolute-prefix|solib-search-path)\b|(-environment-cd|cd)\b"
)
_NAMES_FILES = re.compile(r"-(?:data-disassemble|break-insert|dprintf-insert|symbol-list-lines)\b|break|list|info line")
_ENDS = re.compile(r"-gdb-exit\b|q(?:uit)?\b|exit\b")

_RECORD = re.compile(rb'\d{0,18}(?:[\^*+=][a-z][a-z-]*(?:,.*)?|[~@&]".*")|\(gdb\) ?', re.DOTALL)
_NAMELESS = re.compile(r'\baddr="0x([0-9a-f]{1,16})",func="\?\?"')
_FULL_NAME = re.compile(r'\bfullname="((?:[^"\\]|\\.)*)"')
_ESCAPED = re.compile(rb"\\([0-7]{3}|.)", re.DOTALL)
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


class Mapped(NamedTuple):
    """Addresses that a module was mapped at, and its file's name."""

    start: int
    end: int
    name: str


def _start(module: Mapped) -> int:
    return module.start


class Translator:
    """Puts what either side says in the terms of the other.

    Attributes:
        ended: the client has said its last word.
    """

    def __init__(self, folders: tuple[SourceFolder, ...], modules: tuple[Mapped, ...] = ()) -> None:
        """Make one; ``folders`` are where the client has sources, ``modules`` name frames that have no symbols."""
        self._sources = Sources(folders)
        # Thousands of modules, and a hostile answer names a hundred thousand frames.
        self._modules = sorted((each._replace(name=_quoted(each.name)[:-1]) for each in modules), key=_start)
        self._names: dict[str, str] = {}
        self.ended = False

    def to_gdb(self, line: str) -> str:
        """A command of the client's: whatever it wants to open is the crash, and a core does not run."""
        found = _LINE.fullmatch(line.strip())
        assert found  # it matches everything
        token, command = found.groups()
        wrapped = _WRAPPED.fullmatch(command)
        inner = (unescape(wrapped[1]) if wrapped[1] is not None else wrapped[2]) if wrapped else command
        self.ended = self.ended or bool(_ENDS.match(inner))
        changed = _changed(inner)
        if changed is not None:
            return token + changed
        return token + (self._renamed(command) if _NAMES_FILES.match(inner) else command)

    def to_client(self, line: bytes) -> bytes:
        """A line of gdb's, without its end: source files that the client has are named as it has them."""
        if not _RECORD.fullmatch(line):
            return b"@" + quote(line + b"\n")
        line = _CONTROL.sub(lambda found: b"\\%03o" % found[0][0], line)
        if line[:1] in b"~@&" or not (b'fullname="' in line or b'func="??"' in line):
            return line
        text = _NAMELESS.sub(self._place, line.decode("utf-8", "surrogateescape"))
        text = _FULL_NAME.sub(self._full_name, text) if self._sources.folders else text
        return text.encode("utf-8", "surrogateescape")

    def _place(self, found: "re.Match[str]") -> str:
        """A frame without symbols is named by its module, as in reports: ``libacme.so+0x1234``."""
        at = int(found[1], 16)
        after = bisect.bisect_right(self._modules, at, key=_start)
        module = self._modules[after - 1] if after else None
        if module is None or at >= module.end:
            return found[0]
        return f'addr="0x{found[1]}",func={module.name}+{at - module.start:#x}"'

    def _full_name(self, found: "re.Match[str]") -> str:
        name = unescape(found[1])
        local = self._sources.find(name)
        if local is None:
            return found[0]
        if len(self._names) < _MAX_NAMES:
            self._names[local] = name
        return f"fullname={_quoted(local)}"

    def _renamed(self, command: str) -> str:
        """The command with the names that debug information has for the client's files."""
        for local in sorted(self._names, key=len, reverse=True):
            if local in command:
                return command.replace(local, self._names[local])
        return command


def _changed(command: str) -> str | None:
    """What gdb is told in place of a command, None if that can stay."""
    if runs := _RUNS.match(command):
        return _raising(refusal(runs[1].removeprefix("exec-")))
    if _OPENS_CORE.match(command):
        return f"-target-select core {CORE}"
    if other := _OTHER_TARGET.match(command):
        return _raising(refusal(f"target {other[1]}"))
    if _OPENS_PROGRAM.match(command):
        return _saying("the program of the crash is used; for debug files: corebox mi SUBJECT --symbols PLACE")
    if place := _PLACES.match(command):
        return _saying(f"{place[1] or 'cd'} is left as it is: the files of the crash are at their own paths")
    return None


def _saying(text: str) -> str:
    return _console(f"python print({text!r})")


def _raising(text: str) -> str:
    return _console(f"python raise gdb.GdbError({text!r})")


def _console(command: str) -> str:
    return f"-interpreter-exec console {quote(command.encode()).decode()}"


def quote(text: bytes) -> bytes:
    """A C string of the interface."""
    text = text.replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n")
    return b'"' + re.sub(rb"[^ -~]", lambda found: b"\\%03o" % found[0][0], text) + b'"'


def _quoted(text: str) -> str:
    return quote(text.encode("utf-8", "surrogateescape")).decode()


def unescape(text: str) -> str:
    """What is in a C string of the interface."""
    if "\\" not in text:
        return text

    def put(found: "re.Match[bytes]") -> bytes:
        sign = found[1]
        return bytes([int(sign, 8) & 0xFF]) if len(sign) > 1 else {b"n": b"\n", b"t": b"\t"}.get(sign, sign)

    return _ESCAPED.sub(put, text.encode("utf-8", "surrogateescape")).decode("utf-8", "surrogateescape")


class _Line(NamedTuple):
    """A line of gdb's, without its end, or the beginning of one of ``size`` bytes."""

    text: bytes
    size: int


def read_line(stream: BinaryIO) -> _Line | None:
    """The next one; None at the end. No more than ``MAX_SIZE`` bytes are kept."""
    line = stream.readline(MAX_SIZE)
    if not line:
        return None
    size, last = len(line), line
    while not last.endswith(b"\n"):
        last = stream.readline(1 << 20)
        size += len(last)
        if not last:
            break
    return _Line(line.rstrip(b"\r\n"), size)


def shortened(line: bytes, size: int) -> bytes:
    """The record itself, or what takes its place if it is too large."""
    found = re.match(rb'(\d*)([~@&]"|[\^*+=])', line)
    kind = found[2][:1] if found else b""
    if kind in (b"~", b"@", b"&") and size > MAX_LENGTH:
        kept = re.sub(rb"\\[0-7]{0,2}\Z", b"", line[:MAX_LENGTH])  # no half of an escape
        return (kept[:-1] if len(re.findall(rb"\\*\Z", kept)[0]) % 2 else kept) + b'\\342\\200\\246\\n"'
    if found and size > MAX_SIZE:
        said = f"the answer is too large ({size >> 10:,} KiB): ask for a part of it"
        return found[1] + b"^error,msg=" + quote(said.encode()) if kind == b"^" else b"&" + quote(said.encode() + b"\n")
    return line[:MAX_LENGTH] if not found else line


def relay(client: Client, gdb: "subprocess.Popen[bytes]", translator: Translator) -> None:
    """Carry lines both ways until either end has no more.

    Raises:
        HostError: ``session-ended`` if gdb ended before the client did.
        ConnectionError: the client does not listen any more.
    """
    assert gdb.stdout
    questions = threading.Thread(target=_carry, args=(client, gdb, translator), daemon=True)
    questions.start()
    while (line := read_line(gdb.stdout)) is not None:  # type: ignore[arg-type]  # IO[bytes] is what Popen has
        client.writing.write(translator.to_client(shortened(*line)) + b"\n")
        client.writing.flush()
    if not translator.ended:
        raise HostError("session-ended", "gdb ended unexpectedly", "see what gdb says: corebox shell SUBJECT")


def _carry(client: Client, gdb: "subprocess.Popen[bytes]", translator: Translator) -> None:
    """Carry what the client says to gdb, and end gdb when the client is gone."""
    assert gdb.stdin
    try:
        while line := client.reading.readline():
            said = translator.to_gdb(line.decode("utf-8", "surrogateescape"))
            gdb.stdin.write(said.encode("utf-8", "surrogateescape") + b"\n")
            gdb.stdin.flush()
    except (OSError, ValueError):  # gdb is gone, or the streams were closed meanwhile
        return
    translator.ended = True
    with contextlib.suppress(OSError, ValueError):
        gdb.stdin.close()
    try:
        gdb.wait(_GRACE)
    except subprocess.TimeoutExpired:
        gdb.kill()
