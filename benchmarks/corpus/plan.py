"""Which crashes the corpus has. The truth is the name of the bug: crashes of one bug have one cause."""

from typing import NamedTuple

SITES = ("bullseye", "bookworm", "trixie")  # glibc 2.31, 2.36 and 2.41, GCC 10, 12 and 14
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
VARIATIONS = 9


class Case(NamedTuple):
    """A crash: of which bug, in which release and build of the program, where, and by which way it got there."""

    bug: str
    site: str
    release: int
    level: str
    path: str

    @property
    def program(self) -> str:
        """The program in its site; of a Python bug it is the interpreter."""
        return f"/opt/corpus/ledger-{self.release}{self.level}" if self.bug in NATIVE else "/usr/bin/python3"

    @property
    def command(self) -> str:
        """What is run there."""
        script = "" if self.bug in NATIVE else " /opt/corpus/invoices.py"
        return f"{self.program}{script} {self.bug} {self.path}"

    @property
    def name(self) -> str:
        """A name for its files."""
        return f"{self.bug}-{self.site}-{self.release}{self.level}-{self.path}"


def whole() -> list[Case]:
    """Nine crashes of each bug: every pair of site and release, each optimisation and each way about equally often."""
    return [_case(bug, number) for bug in (*NATIVE, *PYTHON) for number in range(VARIATIONS)]


def part() -> list[Case]:
    """Forty-five crashes of fifteen bugs, in two sites and two builds of each: enough to notice what breaks."""
    bugs = (*NATIVE[:3], *NATIVE[4:6], *NATIVE[7:12], *NATIVE[14:16], NATIVE[19], *PYTHON)
    ways = (("bullseye", 1, "-O0", "batch"), ("trixie", 3, "-O2", "import"), ("trixie", 3, "-O2", "serve"))
    return [Case(bug, *way) for bug in bugs for way in ways]


def _case(bug: str, number: int) -> Case:
    site, release = number % 3, number // 3
    return Case(bug, SITES[site], RELEASES[release], LEVELS[number % 2], PATHS[(site + release) % 3])
