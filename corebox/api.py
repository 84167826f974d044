"""corebox from Python: what the commands do, as functions that take paths and return values.

    from corebox import api

    crash = api.report("crash.corebox")
    print(crash.signature)
    for frame in crash.groups[0].frames:
        print(frame.function, frame.frame.file, frame.frame.line)

A ``subject`` is what it is on the command line: the path of a bundle, or the name of an image in the store or in a
registry. Errors are ``CoreboxError`` with a code, a message and a hint. gdb runs in the sandbox, as for the commands.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from os import PathLike
from pathlib import Path

from corebox.actions import build as _build
from corebox.actions import report as _report
from corebox.actions import similar as _similar
from corebox.actions import verify as _verify
from corebox.actions.build import BuildOptions, Built
from corebox.actions.session import SessionOptions, prepare_session
from corebox.actions.similar import Failure, Group
from corebox.actions.source import manifest_of
from corebox.actions.subject import find_subject, resolve
from corebox.bundle.manifest import Manifest
from corebox.coredump.core import CoreFile, open_core
from corebox.debugger.console import CONSOLE_ARGUMENTS, Console
from corebox.errors import CoreboxError
from corebox.locate.places import SymbolOptions
from corebox.printable import html_table
from corebox.report.document import Report
from corebox.report.markdown import markdown_lines
from corebox.report.page import html_page
from corebox.report.text import text_lines
from corebox.store.store import Store
from corebox.unbundle.verify import Verification

__all__ = [
    "Built",
    "Console",
    "CoreFile",
    "CoreboxError",
    "Failure",
    "Group",
    "Groups",
    "Manifest",
    "Report",
    "SessionOptions",
    "Store",
    "SymbolOptions",
    "Verification",
    "as_html",
    "as_markdown",
    "as_text",
    "build",
    "open_core",
    "read_bundle",
    "report",
    "session",
    "similar",
    "verify",
]

Name = str | PathLike[str]


class Groups(list[Group]):
    """Groups of crashes, which a notebook shows as a table."""

    def _repr_html_(self) -> str:
        rows = [
            (len(each.names), each.family, each.causes[0][0] if each.causes else "-", ", ".join(each.names))
            for each in self
        ]
        return html_table(("CRASHES", "FAMILY", "CAUSE", "NAMES"), rows)


def read_bundle(path: Name, identity: Name | None = None) -> Manifest:
    """The manifest of the bundle at ``path``; ``identity`` is the file with the private key of an encrypted one.

    Raises:
        InputError: ``no-such-file``, ``not-a-bundle``, ``bundle-damaged``.
        UsageError: ``no-identity``.
    """
    with Store.default().workplace() as work:
        return manifest_of(Path(path), Path(identity) if identity else None, work)


def verify(subject: Name, *, store: Store | None = None) -> Verification:
    """Prove each module of ``subject`` against the core's memory.

    Raises:
        InputError: ``no-such-file``, ``no-such-image``, ``bundle-damaged``, ``no-core``.
    """
    where = store or Store.default()
    return _verify.verify(where, resolve(where, str(subject)))


def build(bundle: Name, tags: Sequence[str] = (), *, symbols: Sequence[str] = (), store: Store | None = None) -> Built:
    """Build the image of ``bundle``, or find that it has been built; ``symbols`` are places of debug files.

    Raises:
        InputError: ``bundle-damaged`` and the others of its reader.
        UsageError: ``bad-tag``.
        HostError: ``no-space``.
    """
    options = BuildOptions(tags=tuple(tags), symbols=SymbolOptions(tuple(symbols)))
    return _build.build(store or Store.default(), Path(bundle), options)


def report(
    subject: Name,
    *,
    options: SessionOptions | None = None,
    time_limit: float = 300.0,
    store: Store | None = None,
) -> Report:
    """Everything known about a crash: cause, stacks with values, registers, instructions, modules, memory.

    Args:
        subject: see above.
        options: where symbols and sources are, and how gdb is run.
        time_limit: seconds for gdb.
        store: where images are kept; the user's if not given.

    Raises:
        InputError: those of ``build``; ``no-core``.
        HostError: ``time-limit``, ``no-engine``.
    """
    where = store or Store.default()
    return _report.report(
        where, find_subject(where, str(subject)), str(subject), time_limit, options or SessionOptions()
    ).report


def similar(
    subjects: Sequence[Name],
    *,
    by: str = "family",
    jobs: int = 1,
    options: SessionOptions | None = None,
    time_limit: float = 300.0,
    store: Store | None = None,
) -> tuple[Groups, list[Failure]]:
    """Group crashes by ``family`` or ``signature``, the largest group first; and what could not be read.

    Raises:
        HostError: this machine can look at none, for example ``no-engine``.
    """
    where = store or Store.default()
    names, find = [str(each) for each in subjects], lambda name: find_subject(where, name)
    groups, failures = _similar.similar(where, names, find, time_limit, options or SessionOptions(), jobs, by)
    return Groups(groups), failures


@contextmanager
def session(
    subject: Name,
    *,
    options: SessionOptions | None = None,
    progress: Callable[[str], None] = lambda _: None,
    store: Store | None = None,
) -> Iterator[Console]:
    """Gdb on the crash, in the sandbox, for as long as the block lasts: ``gdb.execute("bt")``.

    Raises:
        InputError: those of ``build``; ``no-core``.
        HostError: ``no-engine``.
    """
    where = store or Store.default()
    plain = options or SessionOptions()
    chosen = plain._replace(gdb_arguments=(*CONSOLE_ARGUMENTS, *plain.gdb_arguments))
    with (
        prepare_session(where, find_subject(where, str(subject)), chosen, progress) as prepared,
        prepared.engine.pipe(prepared.sandbox, prepared.command) as gdb,
    ):
        console = Console(gdb)
        console.execute("python pass")  # with it comes what gdb says while it opens the core
        yield console


def as_text(made: Report) -> str:
    """The report for a terminal; names from the core are in it as they are."""
    return "".join(line + "\n" for line in text_lines(made))


def as_markdown(made: Report) -> str:
    """The report for an issue tracker."""
    return "".join(line + "\n" for line in markdown_lines(made))


def as_html(made: Report) -> str:
    """The report as a page of its own, without the picture of the memory."""
    return html_page(made, ())
