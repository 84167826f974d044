"""The gatherer's command line."""

import argparse
import os
import re
from typing import NoReturn

from corebox import __version__
from corebox.errors import UsageError
from corebox.gather.defaults import COREDUMPS

_DESCRIPTION = """\
Puts a core file, and every file that the crashed process had mapped, into one archive, and proves that the files are
the ones that crashed. Runs nothing of the target and sends nothing anywhere: you decide what to do with the archive."""

_EPILOG = """\
exit status: 0 done, every file proved; 1 done, but something is not exact (see the summary); 2 wrong usage;
3 bad input, e.g. not a core; 4 this machine lacks something, e.g. space; 5 a bug in corebox.

examples:
  %(prog)s core.1234                 writes app-1234.corebox
  %(prog)s core.1234 --list          only shows what would be taken
  %(prog)s core --container web      the crash was in this container
  %(prog)s --coredumpctl nginx       the newest crash of nginx that systemd has kept
  %(prog)s --pid 4711                process 4711 hangs"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """As everywhere: a code, and what to do next."""
        hint = "{0} CORE [-o FILE] [OPTIONS]; see {0} --help".format(self.prog)
        raise UsageError("wrong-usage", message, hint)


def make_parser(program: str = "corebox-gather.pyz", fixed: str = "") -> argparse.ArgumentParser:
    """The parser of the arguments of the gatherer, which is called as ``program``; ``fixed`` is for the help."""
    parser = _Parser(
        prog=program,
        usage="%(prog)s CORE [-o FILE] [OPTIONS]\nall options: %(prog)s --help",
        description=_DESCRIPTION,
        epilog=_EPILOG + ("\n\npreset by whoever gave you this program: " + fixed.replace("%", "%%") if fixed else ""),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "core", nargs="?", type=_some, metavar="CORE", help="the core file, also compressed: .zst .lz4 .gz .xz"
    )
    parser.add_argument("--version", action="version", version="corebox-gather " + __version__)
    _add_source(parser.add_argument_group("where the crash is, if not in the file CORE"))
    _add_content(parser.add_argument_group("what is taken"))
    _add_output(parser.add_argument_group("output"))
    _add_program(parser.add_argument_group("instead of gathering"))
    return parser


def _add_source(group: "argparse._ArgumentGroup") -> None:
    add = group.add_argument
    add(
        "--coredumpctl",
        nargs="?",
        const="newest",
        type=_some,
        metavar="WHICH",
        help="a crash kept by systemd: PID, program or newest (default)",
    )
    add("--coredump-dir", type=_some, default=COREDUMPS, metavar="DIR", help="where systemd keeps them (%(default)s)")
    add("--pid", type=_positive, metavar="PID", help="a running process, which goes on running; needs gdb's gcore")
    add(
        "--root",
        type=_some,
        default="/",
        metavar="DIR",
        help="take files from below DIR: a mounted system, /proc/PID/root, or a tar archive of one",
    )
    add("--container", type=_some, metavar="NAME", help="take files from this Docker or Podman container")
    add(
        "--also",
        action="append",
        type=_some,
        default=[],
        metavar="DIR",
        help="also look in DIR, by build ID, for files that are not where the core says; repeatable",
    )
    add(
        "--trust",
        action="store_true",
        help="as root: also take files that the crashed process's user could not read, or that the core does not prove",
    )


def _add_content(group: "argparse._ArgumentGroup") -> None:
    add = group.add_argument
    add("-e", "--executable", type=_some, metavar="EXE", help="the executable, if it is not where the core says")
    add(
        "--with",
        action="append",
        type=_some,
        default=[],
        dest="extra",
        metavar="FILE",
        help="also take this file (log, configuration)",
    )
    add("--no-exe", action="store_true", help="leave the executable out")
    add("--no-core", action="store_true", help="leave the core out")
    add(
        "--slim",
        action="store_true",
        help="keep registers, stacks, what they point to and the modules' data; drop the rest of the heap",
    )
    add(
        "--light",
        action="store_true",
        help="leave out unmodified files of packages, by this system's package database: whoever receives the bundle"
        " gets them from the distribution",
    )
    add(
        "--known",
        action="append",
        type=_some,
        default=[],
        metavar="FILE",
        help="leave out files with a build ID of this list, which the vendor has made: corebox known; repeatable",
    )
    add(
        "--redact",
        action="append",
        type=_some,
        default=[],
        metavar="WHAT",
        help="blank in the core: env (the values of the environment) or any text; repeatable",
    )
    add("--consent-hostname", action="store_true", help="record the name of this host in the bundle")


def _add_output(group: "argparse._ArgumentGroup") -> None:
    add = group.add_argument
    add(
        "-o",
        "--output",
        type=_some,
        metavar="FILE",
        help="the bundle to write, or the directory for it (default: NAME-PID.corebox here); - for standard output",
    )
    add(
        "--upload",
        type=_some,
        metavar="URL",
        help="send the bundle to this tus server while it is made, resume it after an interruption, and write no"
        " file; COREBOX_UPLOAD_TOKEN holds the token, if the server needs one",
    )
    add(
        "--encrypt-to",
        type=_some,
        metavar="KEY",
        help="encrypt: age1... or ssh key, file of age keys (needs age), PEM certificate or public key (needs openssl)",
    )
    add("--force", action="store_true", help="replace the output even if it is not a bundle")
    add("--list", action="store_true", help="show what would be taken, write nothing")
    add("--dry-run", action="store_true", help="show the summary and the sizes, write nothing")
    add("--json", action="store_true", help="print the summary as JSON on standard output")
    jobs = len(os.sched_getaffinity(0))
    add("--jobs", type=_positive, default=jobs, metavar="N", help="compressing threads (default: all processors)")
    add("--no-nice", action="store_true", help="compress with ordinary priority instead of lowest")  # fmt: skip


def _add_program(group: "argparse._ArgumentGroup") -> None:
    add = group.add_argument
    add("--make-zipapp", type=_some, metavar="FILE", help="write this program as one file for the customer, and exit")
    add(
        "--preset",
        type=_some,
        metavar="OPTIONS",
        help="with --make-zipapp: options that the file always has, as one quoted word",
    )
    add("--message", type=_some, metavar="TEXT", help="with --make-zipapp: what the file says when a bundle is made")
    _add_handler(group)


def _add_handler(group: "argparse._ArgumentGroup") -> None:
    add = group.add_argument
    add(
        "--install-handler",
        type=_some,
        metavar="DIR",
        help="write a handler for the kernel that bundles each crash into DIR, and exit; the options for what is taken"
        " and --encrypt-to apply to each crash",
    )
    add(
        "--max-bundles",
        type=_positive,
        default=20,
        metavar="N",
        help="the handler keeps the N newest bundles and raw cores (%(default)s)",
    )
    add(
        "--max-bytes",
        type=_size,
        default=20 << 30,
        metavar="N",
        help="and at most N bytes of them, but the newest whatever its size (%(default)s)",
    )
    add(
        "--keep-free",
        type=_size,
        default=1 << 30,
        metavar="N",
        help="and leaves N bytes of the disk free (%(default)s)",
    )
    add(
        "--per-hour",
        type=_positive,
        default=5,
        metavar="N",
        help="at most N crashes of a program per hour; more are only counted (%(default)s)",
    )
    add(
        "--at-once",
        type=_positive,
        default=2,
        metavar="N",
        help="at most N at the same time; others wait (%(default)s)",
    )
    add(
        "--max-seconds",
        type=_positive,
        default=3600,
        metavar="N",
        help="a crash that takes longer is given up; a raw core is kept, as far as it was read (%(default)s)",
    )
    add("--handle", type=_some, metavar="DIR", help=argparse.SUPPRESS)
    add("--crash", help=argparse.SUPPRESS)
    add("--pidfd", type=_positive, help=argparse.SUPPRESS)


def _some(text: str) -> str:
    """A script gives an empty value where its variable is not set."""
    if not text:
        raise argparse.ArgumentTypeError("the value is empty")
    return text


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError("{} is not a positive integer".format(text))
    return int(text)


def _size(text: str) -> int:
    """Bytes, also as 500M or 20G (powers of 1,024)."""
    match = re.match(r"([0-9]{1,15})([KMGT]?)\Z", text, re.ASCII)
    if match is None:
        raise argparse.ArgumentTypeError("{} is not a size, like 20000000000 or 20G".format(text))
    return int(match.group(1)) << (10 * " KMGT".index(match.group(2) or " "))
