"""What the kernel knew of the process while it was still there: what no core tells (proc(5)).

It is in the manifest of a bundle that the crash handler made, or that was made of a running process.
"""

from typing import NamedTuple, Optional, Tuple

from corebox.bundle.fields import NUMBER, TEXT, Annotated, array, choice, record

HANDLER, RUNNING = "handler", "pid"
SOURCES = (HANDLER, RUNNING)


class ThreadName(NamedTuple):
    """A thread and its name (``PR_SET_NAME``)."""

    tid: Annotated[int, NUMBER, "ID of the thread, as in the core."]
    name: Annotated[str, TEXT, "Its name."]


class Container(NamedTuple):
    """The container of the process."""

    id: Annotated[str, TEXT, "ID of the container, as its engine gives it."]
    engine: Annotated[
        Optional[str], TEXT, "`docker`, `podman`, `containerd` or `cri-o`, as far as the control group tells."
    ]
    image: Annotated[Optional[str], TEXT, "Name of its image, where the engine's files on the host say it."]


class ResourceLimit(NamedTuple):
    """A limit of getrlimit(2)."""

    name: Annotated[str, TEXT, "As `/proc/PID/limits` names it."]
    soft: Annotated[Optional[int], NUMBER, "The limit in force; null is unlimited."]
    hard: Annotated[Optional[int], NUMBER, "What it may be raised to; null is unlimited."]
    unit: Annotated[Optional[str], TEXT, "What it counts."]


class OpenFiles(NamedTuple):
    """How many descriptors of one kind were open."""

    kind: Annotated[str, TEXT, "`file`, `device`, `pipe`, `TCP socket`, `eventfd` and so on."]
    number: Annotated[int, NUMBER, "How many."]


class Runtime(NamedTuple):
    """What the kernel knew of the process."""

    source: Annotated[
        str, choice(SOURCES), "Who looked: `handler`, the crash handler; `pid`, a gathering of a running process."
    ]
    kernel: Annotated[str, TEXT, "Release and version of the kernel."]
    cpu: Annotated[Optional[str], TEXT, "Model of the processor."]
    threads: Annotated[Tuple[ThreadName, ...], array(record(ThreadName)), "Threads that have a name."]
    cgroup: Annotated[Optional[str], TEXT, "Path of its control group."]
    unit: Annotated[Optional[str], TEXT, "The systemd unit that it ran in."]
    container: Annotated[Optional[Container], record(Container), "The container that it ran in; null if in none."]
    limits: Annotated[Tuple[ResourceLimit, ...], array(record(ResourceLimit)), "Limits of getrlimit(2)."]
    open_files: Annotated[
        Tuple[OpenFiles, ...],
        array(record(OpenFiles)),
        "How many descriptors of each kind were open; never what they are of.",
    ]
