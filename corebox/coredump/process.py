"""The process, put together from the notes of its core."""

from typing import Callable, Dict, Iterable, List, NamedTuple, Optional, Tuple

from corebox.coredump.header import Header
from corebox.coredump.notes import MAX_THREADS, Note, PsInfo, SigInfo
from corebox.coredump.signals import FAULTS, signal_name
from corebox.coredump.systems import Auxv, Mappings, common_auxv, parse_notes, system_of
from corebox.coredump.values import FileMapping, Process, Thread

# A fault's address is told if the kernel raised it (code > 0) and said where: SI_KERNEL does not.
SI_KERNEL = 0x80


class CoreNotes(NamedTuple):
    """What the notes of a core say; ``threads`` begins with the crashed one, ``status`` are the threads' notes.

    ``system`` is the one that wrote the core: "Linux", "NetBSD"; ``auxv`` has Linux' numbers; ``command`` is where the
    file has the process's name and arguments: offset and size.
    """

    system: str
    psinfo: Optional[PsInfo]
    siginfo: Optional[SigInfo]
    auxv: Dict[int, int]
    mappings: Tuple[FileMapping, ...]
    threads: Tuple[Thread, ...]
    status: Tuple[Note, ...]
    command: Tuple[Tuple[int, int], ...]


def collect_notes(header: Header, found: Iterable[Note], read: Callable[[int, int], bytes]) -> CoreNotes:
    """Sort the notes of a core; ``read`` gives up to so many bytes of it at an offset."""
    found = list(found)
    system = system_of(header, found)
    psinfo, siginfo, auxv, mappings = None, None, Auxv({}), Mappings(())
    threads: List[Thread] = []
    for fact in parse_notes(header, system, found, read):
        if isinstance(fact, Thread):
            threads.append(fact)
        elif isinstance(fact, PsInfo):
            psinfo = fact
        elif isinstance(fact, SigInfo):
            siginfo = siginfo or fact
        elif isinstance(fact, Auxv):
            auxv = fact
        else:
            mappings = fact
        if len(threads) == MAX_THREADS:
            break
    status = tuple(note for note in found if note.kind in system.thread_kinds)
    entries = common_auxv(system, auxv.entries)
    command = psinfo.places if psinfo else ()
    return CoreNotes(system.name, psinfo, siginfo, entries, mappings.files, tuple(threads), status, command)


def describe_process(header: Header, found: CoreNotes, executable: Optional[str]) -> Process:
    """The process; ``executable`` is what AT_EXECFN points to."""
    info, fault = found.psinfo, found.siginfo
    number = _signal(found)
    name = signal_name(found.system, header.machine, number) if number else None
    return Process(
        pid=info.pid if info and info.pid is not None and info.pid >= 0 else None,
        name=info.name if info else None,
        arguments=info.arguments if info else None,
        uid=info.uid if info else None,
        gid=info.gid if info else None,
        executable=executable,
        signal=number,
        signal_name=name,
        signal_code=fault.code if fault and number else None,
        fault_address=fault.address if fault and _has_address(name, fault) else None,
        threads=found.threads,
    )


def _has_address(name: Optional[str], fault: SigInfo) -> bool:
    """Of a breakpoint some processors tell no address, which then is 0."""
    raised = fault.code is not None and 0 < fault.code < SI_KERNEL
    return raised and name in FAULTS and (name != "SIGTRAP" or bool(fault.address))


def _signal(found: CoreNotes) -> Optional[int]:
    """The signal; a number that none can have is none.

    gcore writes the SIGSTOP of its own tracing into NT_SIGINFO, but no signal into NT_PRSTATUS: nothing crashed. The
    BSDs tell it of the process only.
    """
    number = found.threads[0].signal if found.threads else 0
    if found.siginfo and (not found.threads or found.system in ("NetBSD", "OpenBSD")):
        number = found.siginfo.number
    return number if number > 0 else None
