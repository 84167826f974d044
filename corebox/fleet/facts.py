"""What the database has of a report: enough to count, group and search crashes, and no values of anyone's memory."""

from calendar import timegm
from collections.abc import Iterator
from posixpath import basename
from time import strptime
from typing import NamedTuple

from corebox.report.document import Report
from corebox.report.names import plain_name
from corebox.report.python import PYTHON, functions_of, label

#: Of a hostile or endless stack only so much is kept, and so much of a text.
MAX_FUNCTIONS, MAX_MODULES, MAX_TEXT_LENGTH = 200, 2000, 1000


class ModuleFact(NamedTuple):
    """A mapped file: its name, its build ID in hex, name and version of its package; empty if not known."""

    name: str
    build_id: str
    package: str


class Facts(NamedTuple):
    """A crash as the database has it.

    Attributes:
        identity: of the bundle, in hex.
        crashed: when, in seconds since 1970; None if the core does not say.
        signal: its name.
        cause: the sentence.
        program: name of the executable.
        system: the distribution and its version.
        family: see ``Signature.family``.
        signature: see ``Signature.text``.
        functions: of the thread that failed, innermost first; module and offset where there is no name.
        modules: what was mapped.
    """

    identity: str
    crashed: int | None
    signal: str
    cause: str
    program: str
    system: str
    family: str
    signature: str
    functions: tuple[str, ...]
    modules: tuple[ModuleFact, ...]


def facts_of(report: Report) -> Facts:
    """The facts of a report."""
    manifest, why, failed = report.manifest, report.answer.why, report.failed
    process, system = manifest.process, manifest.site.os_release
    return Facts(
        identity=report.identity.removeprefix("sha256:"),
        crashed=_seconds(process.time),
        signal=report.known.signal or "",
        cause=_short(why.sentence if why else ""),
        program=_short(basename(process.executable or process.name or "")),
        system=_short(system.get("PRETTY_NAME") or system.get("ID") or manifest.site.machine),
        family=_short(report.known.family),
        signature=_short(report.known.text),
        functions=tuple(_functions(report))[:MAX_FUNCTIONS] if failed else (),
        modules=tuple(
            ModuleFact(
                _short(basename(each.path)),
                each.build_id.memory or each.build_id.file or "",
                _short(each.package or ""),
            )
            for each in manifest.modules[:MAX_MODULES]
        ),
    )


def _functions(report: Report) -> Iterator[str]:
    """The frames as people name them; Python's stand where their interpreter is."""
    assert report.failed
    for frame in report.failed.frames:
        yield from (_short(each.label) for each in report.failed.python_at(frame.level))
        if frame.frame.language == PYTHON:
            yield from (_short(label(each.function, each.file)) for each in functions_of(frame.frame))
            continue
        yield _short(plain_name(frame.function) if frame.function else frame.place)


def _short(text: str) -> str:
    """What a database takes of a text that a stranger has written."""
    return text.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")[:MAX_TEXT_LENGTH]


def _seconds(time: str) -> int | None:
    try:
        return timegm(strptime(time, "%Y-%m-%dT%H:%M:%SZ"))
    except ValueError:
        return None
