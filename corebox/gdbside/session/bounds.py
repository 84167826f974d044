"""The bound of gdb's memory in every engine: a rootless Podman with version 1 of control groups sets none."""

import resource

#: Bytes, as many as corebox/engine/sandbox.py gives a session.
MAX_DATA = 16 << 30
#: Bytes with the files that gdb maps. What was filled and is then made read-only does not count as data any more
#: (vm_stat_account in mm/mmap.c), so that the bound of data alone would bound nothing.
MAX_MAPPED = MAX_DATA + (8 << 30)


def bound_memory() -> None:
    """Lower the limits of memory, before the customer's code can run; nobody in the sandbox can raise them again."""
    for limit, most in ((resource.RLIMIT_DATA, MAX_DATA), (resource.RLIMIT_AS, MAX_MAPPED)):
        _, hard = resource.getrlimit(limit)
        if hard == resource.RLIM_INFINITY or hard > most:
            resource.setrlimit(limit, (most, most))
