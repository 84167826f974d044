"""The process, put together from the notes of its core."""

import signal
from typing import Dict, Iterable, List, NamedTuple, Optional, Tuple

from corebox.coredump import notes
from corebox.coredump.header import Header
from corebox.coredump.values import FileMapping, Process, Thread

# Faults that carry an address (sigaction(2)), if the kernel raised them (code > 0) and said where: SI_KERNEL does not.
_WITH_ADDRESS = (signal.SIGILL, signal.SIGFPE, signal.SIGSEGV, signal.SIGBUS, signal.SIGTRAP)
SI_KERNEL = 0x80


class CoreNotes(NamedTuple):
    """What the notes of a core say."""

    psinfo: Optional[notes.PsInfo]
    siginfo: Optional[notes.SigInfo]
    auxv: Dict[int, int]
    mappings: Tuple[FileMapping, ...]
    threads: Tuple[Thread, ...]


def collect_notes(header: Header, found: Iterable[notes.Note]) -> CoreNotes:
    """Sort the notes of a core."""
    first: Dict[int, bytes] = {}
    threads: List[Thread] = []
    for note in found:
        thread = notes.parse_thread(header, note.data) if note.kind == notes.NT_PRSTATUS else None
        if thread is not None:
            threads.append(thread)
        elif note.kind != notes.NT_PRSTATUS:
            first[note.kind] = note.data
    return CoreNotes(
        notes.parse_psinfo(header, first.get(notes.NT_PRPSINFO, b"")),
        notes.parse_siginfo(header, first.get(notes.NT_SIGINFO, b"")),
        notes.parse_auxv(header, first.get(notes.NT_AUXV, b"")),
        notes.parse_file_mappings(header, first.get(notes.NT_FILE, b"")),
        tuple(threads),
    )


def describe_process(found: CoreNotes, executable: Optional[str]) -> Process:
    """The process; ``executable`` is what AT_EXECFN points to."""
    info, fault = found.psinfo, found.siginfo
    # gcore writes the SIGSTOP of its own tracing into NT_SIGINFO, but no signal into NT_PRSTATUS: nothing crashed.
    number = (found.threads[0].signal if found.threads else fault.number if fault else 0) or None
    return Process(
        pid=info.pid if info else None,
        name=info.name if info else None,
        arguments=info.arguments if info else None,
        uid=info.uid if info else None,
        gid=info.gid if info else None,
        executable=executable,
        signal=number,
        signal_name=_signal_name(number) if number else None,
        signal_code=fault.code if fault and number else None,
        fault_address=fault.address if fault and number and _has_address(fault) else None,
        threads=found.threads,
    )


def _has_address(fault: notes.SigInfo) -> bool:
    return fault.number in [int(s) for s in _WITH_ADDRESS] and 0 < fault.code < SI_KERNEL


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "SIG{}".format(number)
