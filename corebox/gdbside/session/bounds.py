"""The bound of gdb's memory in every engine: a rootless Podman with version 1 of control groups sets none."""

import resource

#: Bytes, as many as corebox/engine/sandbox.py gives a session.
MAX_DATA = 16 << 30


def bound_memory() -> None:
    """Lower the limit of data, before the customer's code can run; nobody in the sandbox can raise it again."""
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if hard == resource.RLIM_INFINITY or hard > MAX_DATA:
        resource.setrlimit(resource.RLIMIT_DATA, (MAX_DATA, MAX_DATA))
