"""Make the report of a crash: gdb is asked in the sandbox, and its answer joined with the manifest."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from corebox.actions.ask import ask_gdb
from corebox.actions.fault import FAULT, fault_place
from corebox.actions.session import SessionOptions, prepare_session
from corebox.actions.subject import Found
from corebox.bundle.manifest import Manifest
from corebox.bundle.runtime import Runtime
from corebox.coredump.core import open_core
from corebox.coredump.signals import signal_name
from corebox.debugger.answer import Answer, Missing, Stack, Why, no_answer, parse_answer
from corebox.errors import CoreboxError
from corebox.image.opened import OpenedImage
from corebox.report.document import Report, failed_group, group_threads
from corebox.report.memory import judge_memory
from corebox.report.regions import Region, regions_of
from corebox.report.signature import signature
from corebox.store.files import new_name
from corebox.store.store import Store


class Reported(NamedTuple):
    """The report, and what was mapped, for a picture, if that was wanted."""

    report: Report
    regions: tuple[Region, ...]


def report(
    store: Store,
    subject: Found,
    name: str,
    time_limit: float,
    options: SessionOptions,
    progress: Callable[[str], None] = lambda _: None,
    *,
    with_regions: bool = False,
) -> Reported:
    """Ask gdb about the crash; ``name`` is what the user calls it.

    Raises:
        InputError: those of ``prepare_session``.
        HostError: ``time-limit``, and those of ``prepare_session``.
    """
    with prepare_session(store, subject, options, progress) as session:
        asked = ask_gdb(session, time_limit)
        opened = session.crash.opened
        # Its core may be there as long as the session.
        regions = tuple(_memory_regions(opened)) if with_regions else ()
        fault = opened.image.labels.get(FAULT) or _fault(opened)
    answer = _with_reason(parse_answer(asked.records, asked.deaths), asked.said)
    answer = answer._replace(missing=(*answer.missing, *(Missing("values", each) for each in session.lacking)))
    manifest = opened.manifest
    groups = group_threads(with_names(answer.threads, manifest.runtime), manifest.modules)
    failed = failed_group(groups, answer.why)
    made = Report(
        name=name,
        identity=opened.identity,
        known=signature(
            _signal(manifest, answer.why), failed.frames if failed else (), answer.why, failed.python if failed else ()
        ),
        fault=fault or manifest.process.signal_name or "no signal",
        manifest=manifest,
        answer=answer,
        groups=groups,
        symbols=session.symbols,
        memory=judge_memory(manifest, answer.why.kind if answer.why else None),
    )
    return Reported(made, regions)


def _fault(opened: OpenedImage) -> str | None:
    """Where the fault was, of an image that was not built; None if the core does not tell."""
    with contextlib.suppress(CoreboxError):
        return fault_place(opened.core) if opened.core else None
    return None


def _with_reason(answer: Answer, said: str) -> Answer:
    """The same with the reason why there is not a single frame, if that is so."""
    if any(stack.frames for stack in answer.threads) or any(each.part == "stacks" for each in answer.missing):
        return answer
    ends = [stack.end for stack in answer.threads[:1]]
    reason = "; ".join([*(ends or ["gdb found no thread in the core"]), *([f"gdb said: {said}"] if said else [])])
    return answer._replace(missing=(Missing("stacks", reason), *answer.missing))


def _signal(manifest: Manifest, why: Why | None) -> str | None:
    """The name of the signal that was interrupted; a handler may have ended the process by another."""
    process = manifest.process
    if why is None or why.signal is None or why.signal == process.signal:
        return process.signal_name
    return signal_name("Linux", 0, why.signal)  # only processors with the usual numbers have frames that tell it


def require_stack(made: Report) -> None:
    """Refuse a report without a single frame: whatever else it tells, nobody can say what happened.

    Raises:
        InputError: ``no-answer``.
    """
    if made.program_counter is None:
        reasons = [each.reason for each in made.answer.missing if each.part == "stacks"]
        raise no_answer(*(reasons or ["it found no frame of the thread that crashed"]))


def with_names(threads: Sequence[Stack], runtime: Runtime | None) -> Sequence[Stack]:
    """The threads with the names that the kernel knew; Linux keeps them out of cores."""
    names = {thread.tid: thread.name for thread in runtime.threads} if runtime else {}
    return [thread._replace(name=thread.name or names.get(thread.tid)) for thread in threads]


def _memory_regions(opened: OpenedImage) -> Iterator[Region]:
    """What was mapped, for a picture."""
    if opened.core is None:
        return
    with open_core(str(opened.core)) as core:
        yield from regions_of(core)


def write_report(out: Path, text: str) -> None:
    """Write it where only the user may read it, complete or not at all: it tells what was in the memory.

    Raises:
        HostError: ``cannot-write``.
    """
    with new_name(out) as new:
        new.touch(0o600)
        new.write_text(text, encoding="utf-8")
        new.replace(out)
