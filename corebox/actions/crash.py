"""The crash that a session is about: its image, the core and the executable that gdb opens."""

from pathlib import Path
from typing import NamedTuple

from corebox.coredump.elffile import read_elf
from corebox.coredump.verdict import compare_build_ids
from corebox.debugger.session import REPLACED_EXECUTABLE
from corebox.errors import InputError
from corebox.image.opened import OpenedImage
from corebox.store.within import file_within


class Crash(NamedTuple):
    """What gdb is to open.

    Attributes:
        opened: the image, unpacked.
        core: the file on this machine; ``replaces_core`` if it is the user's, not the image's.
        replaces_core: see there.
        executable: the file on this machine, if there is one; ``inside`` is its path in the sandbox.
        inside: see there.
        notices: what is not as it should be, each with what to do about it.
    """

    opened: OpenedImage
    core: Path
    replaces_core: bool
    executable: Path | None
    inside: str | None
    notices: tuple[str, ...] = ()


def inspect_crash(opened: OpenedImage, core: Path | None, executable: Path | None, force: bool) -> Crash:
    """The crash of an image; ``core`` and ``executable`` are the user's, in the place of its own.

    Raises:
        InputError: ``no-core``; ``wrong-executable`` or ``wrong-core`` if they are of two programs, unless ``force``;
            and those of ``check_executable``.
    """
    used = core or opened.core
    if used is None:
        hint = "give the core: corebox shell SUBJECT -c CORE"
        raise InputError("no-core", "the bundle was made without its core", hint)
    path = opened.manifest.process.executable
    own = file_within(opened.root, path) if path else None
    file, inside = (executable, REPLACED_EXECUTABLE) if executable else (own, path if own else None)
    crash = Crash(opened, used, core is not None, file, inside)
    return crash._replace(notices=_compare(crash, executable is not None, force))


def _compare(crash: Crash, replaced: bool, force: bool) -> tuple[str, ...]:
    """Whether it is the executable that crashed, as notices."""
    if crash.executable is None:
        return ("the bundle has no executable; give it: corebox shell -e EXECUTABLE ...",)
    known = next((module for module in crash.opened.manifest.modules if module.executable), None)
    if replaced or crash.replaces_core or known is None:
        in_memory, in_file = _build_ids(crash.core, crash.executable, replaced or crash.replaces_core)
    else:  # reading it again would take a sixth of a second
        in_memory, in_file = known.build_id
    verdict, detail = compare_build_ids(in_memory, in_file)
    if verdict != "mismatch":
        return ()
    builds = f"build ID {in_memory} in the core, {in_file} in the file"
    what = f"{crash.executable.name} is not the executable that crashed ({detail}): {builds}"
    if replaced and not force:
        hint = "give the one that crashed, or use this one anyway: --force"
        raise InputError("wrong-executable", what, hint)
    if crash.replaces_core and not force:
        message = f"{crash.core.name} is a core of another program than {crash.executable.name} ({detail}): {builds}"
        raise InputError("wrong-core", message, "give a core of that program, or open it anyway: --force")
    return (f"{what}; its frames will be wrong",)


def _build_ids(core: Path, executable: Path, check: bool) -> tuple[str | None, str | None]:
    """Build ID in the core and in the file, as the manifest has them."""
    from corebox.coredump.core import open_core  # noqa: PLC0415  # slow to import, and most sessions replace nothing
    from corebox.gather.collect import check_executable  # noqa: PLC0415

    facts = read_elf(str(executable))
    with open_core(str(core)) as opened:
        if check:
            check_executable(opened, str(executable))
        in_memory = next((module.build_id for module in opened.modules if module.is_executable), None)
    return in_memory, facts.build_id
