"""What the kernel knew of the process while it was still there: what no core tells (proc(5)).

It is in the manifest of a bundle that the crash handler made, or that was made of a running process.
"""

from typing import TYPE_CHECKING, Dict, NamedTuple, Optional, Tuple

if TYPE_CHECKING:
    from corebox.bundle.fields import Fields  # for whoever reads: the gatherer does without

Json = Dict[str, object]

HANDLER, RUNNING = "handler", "pid"
SOURCES = (HANDLER, RUNNING)


class ThreadName(NamedTuple):
    """A thread's ID, as the core has it, and its name (``PR_SET_NAME``)."""

    tid: int
    name: str

    def to_json(self) -> Json:
        """The JSON object of this value."""
        return self._asdict()


class Container(NamedTuple):
    """The container of the process: its ID, its engine, and the image's name where the engine's files say it."""

    id: str
    engine: Optional[str]
    image: Optional[str]

    def to_json(self) -> Json:
        """The JSON object of this value."""
        return self._asdict()


class ResourceLimit(NamedTuple):
    """A limit of getrlimit(2), named as ``/proc/PID/limits`` names it; None is unlimited."""

    name: str
    soft: Optional[int]
    hard: Optional[int]
    unit: Optional[str]

    def to_json(self) -> Json:
        """The JSON object of this value."""
        return self._asdict()


class OpenFiles(NamedTuple):
    """How many descriptors of one kind were open: "file", "TCP socket", "pipe", "eventfd" and so on."""

    kind: str
    number: int

    def to_json(self) -> Json:
        """The JSON object of this value."""
        return self._asdict()


class Runtime(NamedTuple):
    """``source`` is who looked: the crash handler, or ``--pid``. ``kernel`` is release and version."""

    source: str
    kernel: str
    cpu: Optional[str]
    threads: Tuple[ThreadName, ...]
    cgroup: Optional[str]
    unit: Optional[str]
    container: Optional[Container]
    limits: Tuple[ResourceLimit, ...]
    open_files: Tuple[OpenFiles, ...]

    def to_json(self) -> Json:
        """The JSON object of this value."""
        return dict(
            self._asdict(),
            threads=[thread.to_json() for thread in self.threads],
            container=self.container.to_json() if self.container else None,
            limits=[limit.to_json() for limit in self.limits],
            open_files=[files.to_json() for files in self.open_files],
        )


def parse_runtime(runtime: "Fields") -> Runtime:
    """The value that a stranger wrote.

    Raises:
        InputError: ``bundle-damaged``.
    """
    container = runtime.fields_or_none("container")
    return Runtime(
        source=runtime.choice("source", SOURCES),
        kernel=runtime.text("kernel"),
        cpu=runtime.text_or_none("cpu"),
        threads=tuple(ThreadName(each.number("tid"), each.text("name")) for each in runtime.objects("threads")),
        cgroup=runtime.text_or_none("cgroup"),
        unit=runtime.text_or_none("unit"),
        container=_container(container) if container else None,
        limits=tuple(_limit(each) for each in runtime.objects("limits")),
        open_files=tuple(OpenFiles(each.text("kind"), each.number("number")) for each in runtime.objects("open_files")),
    )


def _container(container: "Fields") -> Container:
    return Container(container.text("id"), container.text_or_none("engine"), container.text_or_none("image"))


def _limit(limit: "Fields") -> ResourceLimit:
    return ResourceLimit(
        limit.text("name"), limit.number_or_none("soft"), limit.number_or_none("hard"), limit.text_or_none("unit")
    )
