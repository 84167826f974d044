"""Which crashes the corpus has. The truth is the name of the bug: crashes of one bug have one cause."""

from typing import NamedTuple

#: glibc 2.31, 2.36 and 2.41 with GCC 10, 12 and 14.
DEBIAN = ("bullseye", "bookworm", "trixie")
#: musl with Clang and libc++, as on Alpine Linux.
MUSL = "musl"
RELEASES = (1, 2, 3)
LEVELS = ("-O0", "-O2")
PATHS = ("batch", "import", "serve")  # called directly, by qsort(3) of the C library, in a thread
#: Of ledger.cc.
NATIVE = (
    "discount", "width", "draw", "close", "row", "formula", "depth", "name", "pick", "number", "journal", "rule",
    "days", "handle", "capital", "notify", "table", "account", "schedule", "rate", "orders",
)  # fmt: skip
#: Of invoices.py.
PYTHON = ("parse", "render")
#: With musl and Clang these do not crash: freed memory is not reused at once, and the compiler leaves them out.
_NOT_WITH_MUSL = ("draw", "number", "table")
#: What the program has of its symbols where it crashes: debug information, names of functions only, or nothing; of
#: "separate" nothing, but its debug file is given to corebox.
SYMBOLS = ("debug", "separate", "names", "stripped")


class Case(NamedTuple):
    """A crash: of which bug, in which release and build of the program, where, and by which way it got there."""

    bug: str
    site: str
    release: int
    level: str
    path: str
    symbols: str = "debug"

    @property
    def program(self) -> str:
        """The program in its site; of a Python bug it is the interpreter."""
        build = "stripped" if self.symbols == "separate" else self.symbols
        return f"/opt/corpus/{build}/ledger-{self.release}{self.level}" if self.bug in NATIVE else "/usr/bin/python3"

    @property
    def command(self) -> str:
        """What is run there."""
        script = "" if self.bug in NATIVE else " /opt/corpus/invoices.py"
        return f"{self.program}{script} {self.bug} {self.path}"

    @property
    def name(self) -> str:
        """A name for its files."""
        return f"{self.bug}-{self.site}-{self.release}{self.level}-{self.path}"


def whole(symbols: str) -> list[Case]:
    """The crashes of programs with these symbols: nine of each bug, for each Debian release and release of the program.

    With debug information also three of each native bug with musl, and those of Python. Each optimisation and each way
    is there about equally often.
    """
    native = [_case(bug, DEBIAN[number % 3], number)._replace(symbols=symbols) for bug in NATIVE for number in range(9)]
    if symbols != "debug":
        return native
    python = [_case(bug, DEBIAN[number % 3], number) for bug in PYTHON for number in range(9)]
    others = (bug for bug in NATIVE if bug not in _NOT_WITH_MUSL)
    return native + python + [_case(bug, MUSL, 3 * number + 1) for bug in others for number in range(3)]


def part() -> list[Case]:
    """Forty-five crashes of fifteen bugs, in two sites and two builds of each: enough to notice what breaks."""
    bugs = (*NATIVE[:3], *NATIVE[4:6], *NATIVE[7:12], *NATIVE[14:16], NATIVE[19], *PYTHON)
    ways = (("bullseye", 1, "-O0", "batch"), ("trixie", 3, "-O2", "import"), ("trixie", 3, "-O2", "serve"))
    return [Case(bug, *way) for bug in bugs for way in ways]


def _case(bug: str, site: str, number: int) -> Case:
    release = number // 3
    return Case(bug, site, RELEASES[release], LEVELS[number % 2], PATHS[(number % 3 + release) % 3])
