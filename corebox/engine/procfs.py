"""What of /proc the sandbox sees: its own processes, and of the machine what every program may have to know."""

import os
from collections.abc import Iterator

#: Sizes and versions, without which C libraries and Python guess, and the file systems and modules of this kernel.
_SHOWN = ("cpuinfo", "filesystems", "loadavg", "meminfo", "stat", "uptime", "version")
#: What runc and crun mask by themselves (OCI runtime spec, "Linux": maskedPaths), where a kernel has them.
_ALWAYS = ("acpi", "asound", "interrupts", "kcore", "keys", "latency_stats", "sched_debug", "scsi", "timer_list")


def masked() -> Iterator[tuple[str, bool]]:
    """The paths in /proc to hide, and whether each is a folder: all of the machine's that is not in ``_SHOWN``.

    A list of what to hide would lack what the next kernel tells. Links lead to what is of the process itself.
    """
    for entry in sorted(os.scandir("/proc"), key=lambda entry: entry.name):
        if not (entry.name.isdigit() or entry.name in _SHOWN or entry.is_symlink()):
            yield f"/proc/{entry.name}", entry.is_dir()


def masked_in_containers() -> list[str]:
    """The same for an engine, whose machine may have what this one has not."""
    also = {f"/proc/{name}" for name in _ALWAYS} | {"/sys"}
    return sorted(also.union(path for path, _ in masked()))
