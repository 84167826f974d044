"""The gatherer's command line."""

import argparse
import os

from corebox import __version__

_DESCRIPTION = """\
Puts a core file, and every file that the crashed process had mapped, into one archive, and proves that the files are
the ones that crashed. Runs nothing of the target and sends nothing anywhere: you decide what to do with the archive."""

_EPILOG = """\
exit status: 0 done, every file proved; 1 done, but something is not exact (see the summary); 2 wrong usage;
3 bad input, e.g. not a core; 4 this machine lacks something, e.g. space; 5 a bug in corebox.

examples:
  corebox-gather core.1234                       writes app-1234.corebox
  corebox-gather core.1234 --list                only shows what would be taken
  corebox-gather core --root /proc/4711/root     the crash was in the container of process 4711"""


def make_parser() -> argparse.ArgumentParser:
    """The parser of the gatherer's arguments."""
    parser = argparse.ArgumentParser(
        prog="corebox-gather",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("core", nargs="?", metavar="CORE", help="the core file")
    _add_output(parser)
    _add_input(parser)
    return parser


def _add_output(parser: argparse.ArgumentParser) -> None:
    output = parser.add_argument_group("output")
    output.add_argument("-o", "--output", metavar="FILE", help="the bundle to write (default: NAME-PID.corebox here)")
    output.add_argument("--list", action="store_true", help="show what would be taken, write nothing")
    output.add_argument("--json", action="store_true", help="print the summary as JSON on standard output")
    jobs = len(os.sched_getaffinity(0))
    output.add_argument("--jobs", type=_positive, default=jobs, metavar="N", help="compressing threads (default: all)")
    output.add_argument(
        "--make-zipapp", metavar="FILE", help="write this program as one file for the customer, and stop"
    )
    output.add_argument("--version", action="version", version="corebox-gather " + __version__)


def _add_input(parser: argparse.ArgumentParser) -> None:
    what = parser.add_argument_group("what is taken")
    what.add_argument("-e", "--executable", metavar="EXE", help="the executable, if it is not where the core says")
    what.add_argument(
        "--root", default="/", metavar="DIR", help="take files from below DIR (mounted system, container)"
    )
    what.add_argument("--no-exe", action="store_true", help="leave the executable out")
    what.add_argument("--no-core", action="store_true", help="leave the core out")
    what.add_argument("--consent-hostname", action="store_true", help="record the name of this host in the bundle")


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number
