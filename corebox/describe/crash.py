"""A crash in words."""

from collections import Counter
from typing import Iterator, Optional, Tuple

from corebox.bundle.manifest import Manifest
from corebox.bundle.runtime import Container, ResourceLimit, Runtime
from corebox.describe.program import program_of
from corebox.printable import counted, format_size, printable

_MAX_NAMES = 12
_SHORT_ID = 12  # as the engines print it
#: Limits that crashes run into, and what they are called here.
_LIMITS = (
    ("Max open files", "open files"),
    ("Max processes", "processes"),
    ("Max stack size", "stack"),
    ("Max address space", "address space"),
    ("Max data size", "data"),
    ("Max locked memory", "locked memory"),
)


def describe_crash(manifest: Manifest) -> str:
    """What crashed, in one line."""
    process = manifest.process
    cause = process.signal_name or ("signal {}".format(process.signal) if process.signal else "no signal")
    where = " at address 0x{:x}".format(process.fault_address) if process.fault_address is not None else ""
    pid = "" if process.pid is None else " (pid {})".format(process.pid)
    name = printable(str(program_of(manifest)))
    return "{}{}: {}{}, {}".format(name, pid, cause, where, counted(process.threads, "thread"))


def runtime_facts(runtime: Optional[Runtime]) -> Iterator[Tuple[str, str]]:
    """What the kernel knew of the process, each fact with its name.

    Names in them are the process's own: escape them before they are printed.
    """
    if runtime is None:
        return
    if runtime.container:
        yield "Container", _container(runtime.container)
    if runtime.unit:
        yield "Unit", runtime.unit
    if runtime.cgroup:
        yield "Cgroup", runtime.cgroup
    yield "Kernel", runtime.kernel
    if runtime.cpu:
        yield "Processor", runtime.cpu
    if runtime.threads:
        yield "Thread names", _threads(runtime)
    if runtime.open_files:
        opened = sum(files.number for files in runtime.open_files)
        kinds = ", ".join("{} {}".format(files.number, files.kind) for files in runtime.open_files)
        yield "Open files", "{} ({})".format(opened, kinds)
    limits = ", ".join(_limits(runtime))
    if limits:
        yield "Limits", limits


def _container(container: Container) -> str:
    parts = [container.id[:_SHORT_ID], container.engine, container.image and "image " + container.image]
    return ", ".join(part for part in parts if part)


def _threads(runtime: Runtime) -> str:
    """The names, each with the number of its threads if there are several; the most frequent first."""
    names = Counter(thread.name for thread in runtime.threads)
    ordered = sorted(names, key=lambda name: (-names[name], name))
    words = ["{} ({})".format(name, names[name]) if names[name] > 1 else name for name in ordered[:_MAX_NAMES]]
    more = len(ordered) - _MAX_NAMES
    return ", ".join(words) + (" and {} more".format(more) if more > 0 else "")


def _limits(runtime: Runtime) -> Iterator[str]:
    known = {limit.name: limit for limit in runtime.limits}
    for name, word in _LIMITS:
        if name in known and known[name].soft is not None:
            yield "{} {}".format(word, _amount(known[name]))


def _amount(limit: ResourceLimit) -> str:
    assert limit.soft is not None
    return format_size(limit.soft) if limit.unit == "bytes" else str(limit.soft)


def origin_lines(manifest: Manifest) -> Iterator[str]:
    """Where each file comes from that was not taken at the site, a line for each."""
    for entry in manifest.files:
        if entry.origin is not None:
            package = " ".join(filter(None, (entry.origin.package, entry.origin.version)))
            where = "{} ({})".format(entry.origin.place, package) if package else entry.origin.place
            yield "found:     {}: {}".format(printable(entry.path), printable(where))
