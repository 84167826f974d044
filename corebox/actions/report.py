"""Make the report of a crash: gdb is asked in the sandbox, and its answer joined with the manifest."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from corebox.actions.build import image_of, symbols_of
from corebox.actions.shell import ShellOptions, prepare_session
from corebox.actions.subject import Image, Subject
from corebox.bundle import Manifest
from corebox.coredump import debug_path, open_core, read_elf
from corebox.debugger import ASK, parse_answer
from corebox.errors import CoreboxError
from corebox.image import OpenedImage, new_name, open_image
from corebox.report import FULL, MINIMAL, NONE, Region, Report, group_threads, judge_memory, regions_of, signature
from corebox.store import Store, StoredImage


def report(
    store: Store,
    subject: Subject,
    name: str,
    time_limit: float,
    options: ShellOptions,
    progress: Callable[[str], None] = lambda _: None,
) -> Report:
    """Ask gdb about the crash; ``name`` is what the user calls it.

    Raises:
        InputError: ``no-answer`` if gdb gives none, and those of ``prepare_session``.
        HostError: ``time-limit``, and those of ``prepare_session``.
    """
    image = image_of(store, subject, progress)
    opened = open_image(store, image)
    asking = replace(options, gdb_arguments=ASK)
    with prepare_session(store, Image(name, image), asking, progress) as session:
        done = session.engine.run(session.sandbox, session.command, time_limit)
    answer = parse_answer(done.output)
    manifest = opened.manifest
    groups = group_threads(answer.threads, manifest.modules)
    crashed = groups[0].frames if groups else ()
    return Report(
        name=name,
        identity=opened.identity,
        signature=signature(manifest.process.signal_name, crashed, answer.why),
        manifest=manifest,
        answer=answer,
        groups=groups,
        symbols=_symbols(opened, manifest, options.symbols),
        memory=judge_memory(manifest, answer.why.kind if answer.why else None),
    )


def memory_regions(store: Store, image: StoredImage) -> Iterator[Region]:
    """What was mapped, for a picture.

    Raises:
        InputError: those of ``open_image``.
    """
    opened = open_image(store, image)
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


def _symbols(opened: OpenedImage, manifest: Manifest, folders: tuple[Path, ...]) -> tuple[str, ...]:
    """How much the files at hand tell about each module."""
    given = symbols_of(manifest, folders)
    found = []
    for module in manifest.modules:
        build_id = module.memory or module.file
        files = [opened.root / module.path.lstrip("/")]
        if build_id:
            files.append(opened.root / "usr/lib/debug" / debug_path(build_id))
            files += [opened.debug / debug_path(build_id)] if opened.debug else []
            files += [given[build_id]] if build_id in given else []
        known = {_known(path) for path in files}
        found.append(next(each for each in (FULL, MINIMAL, NONE) if each in known))
    return tuple(found)


def _known(path: Path) -> str:
    try:
        facts = read_elf(str(path))
    except CoreboxError:  # not there, or damaged: then gdb does without it, too
        return NONE
    return FULL if facts.has_debug_info else NONE if facts.stripped else MINIMAL
