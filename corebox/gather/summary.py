"""What the gatherer says in the end: short enough to be read to us over the phone."""

import json
import os
from typing import Iterator, List, Optional, Sequence

from corebox.bundle.layout import STREAM
from corebox.bundle.manifest import LeftOutFile, Manifest, ModuleEntry
from corebox.bundle.write import WrittenBundle
from corebox.coredump.verdict import MISMATCH, MISSING, SEARCHED, VERDICTS, VERIFIED
from corebox.describe.crash import describe_crash, runtime_facts
from corebox.describe.languages import language_of
from corebox.describe.program import system_name
from corebox.files.diskroot import NOT_ITS_OWN, NOT_READABLE
from corebox.gather.collect import LIBRARIES, MORE
from corebox.gather.defaults import PACKAGES
from corebox.gather.find import NOT_PROVED
from corebox.printable import counted, format_size, printable

_MAX_NAMES = 100
_NAMES = {"verified": "verified", "mismatch": "MISMATCH", "cannot-verify": "cannot verify", "missing": "MISSING"}
_MAX_SHOWN = 100
_ADVICE = {
    MISMATCH: "changed since the process started; if you have the old package, gather with it: --root DIR, --also DIR",
    MISSING: "not where the core says; if it is in a container, another root or a folder of yours: --container NAME, "
    "--root DIR, --also DIR",
}
_ADVICE_READABLE = "this user may not read it: run the same command again as root"
_ADVICE_TRUST = (
    "root takes only what the crashed process's user could read and the core proves; if you trust the crash: --trust"
)
_MEMORY = (
    "a core is the memory of the process, so passwords, keys and personal data may be in it: --redact and --slim leave "
    "some of that out, and with --encrypt-to only the receiver can read it"
)
_NOT_LOOKED_FOR = (
    "not looked for elsewhere in memory: values of less than 8 bytes, and base64 or hexadecimal: --redact TEXT"
)
_ADVICE_EXECUTABLE = "if you have the executable that crashed elsewhere, gather with it: -e EXECUTABLE"


def is_exact(manifest: Manifest) -> bool:
    """Whether all modules are verified, the program among them, and the core is whole."""
    whole = manifest.core.truncated is None and not any(
        omission.path in (MORE, LIBRARIES) for omission in manifest.missing
    )
    named = any(module.executable for module in manifest.modules)
    return whole and named and all(module.verdict == VERIFIED for module in manifest.modules)


def summary_lines(
    manifest: Manifest, written: Optional[WrittenBundle], seconds: float, lacking: Sequence[str] = ()
) -> Iterator[str]:
    """The summary; without ``written`` it tells what would be taken. ``lacking`` was asked for and is not there."""
    yield "crash:     " + describe_crash(manifest)
    yield "system:    {}, {}".format(printable(system_name(manifest.site)), printable(manifest.site.machine))
    for name, text in runtime_facts(manifest.runtime):
        yield (name.lower() + ":").ljust(10) + " " + printable(text)
    yield "modules:   " + _counts(manifest.modules)
    wrong = [module for module in manifest.modules if module.verdict != VERIFIED]
    lines = [line for module in wrong[:_MAX_SHOWN] for line in _finding(module)]
    lines += ["    " + advice for advice in dict.fromkeys(each for module in wrong for each in _advice(module))]
    paths = {module.path for module in manifest.modules}
    others = [omission for omission in manifest.missing if omission.path not in paths]
    lines += ["  not found: {}: {}".format(printable(each.path), each.why) for each in others[:_MAX_SHOWN]]
    yield from lines
    if max(len(wrong), len(others)) > _MAX_SHOWN:
        yield "  more of them are in the bundle's manifest: corebox info"
    yield from _light_lines(manifest)
    yield from _core_lines(manifest)
    if written:
        name = "to standard output" if written.path == STREAM else printable(written.path)
        size = format_size(written.size) if written.size else "encrypted"
        yield "bundle:    {}, {}, {:.1f} s".format(name, size, seconds)
        yield "identity:  " + written.identity
    yield "result:    " + _result(manifest, lacking)


def next_lines(path: str, message: Optional[str], places: str = "") -> Iterator[str]:
    """What to do with the bundle: for the customer, or in the vendor's own words, and for who receives it.

    ``places`` are the options that complete a light bundle.
    """
    if message:
        first, *others = message.split("\n")
        yield "next:      " + printable(first)
        yield from ("           " + printable(line) for line in others)
        return
    if path == STREAM:
        yield "next:      whoever receives it compares the identity: corebox verify"
        return
    if "://" in path:
        yield "next:      tell whoever asked for it; they compare the identity: corebox verify"
        return
    yield "next:      send {} to whoever asked for it".format(printable(path))
    command = "corebox shell {} {}".format(os.path.basename(path), places).rstrip()
    yield "           whoever receives it opens it with: " + printable(command)


def memory_warning(manifest: Manifest, encrypted: bool) -> Optional[str]:
    """What who sends the bundle must know of its content, if anybody but the receiver could read it on the way."""
    return _MEMORY if manifest.core.included and not encrypted else None


def _counts(modules: "tuple[ModuleEntry, ...]") -> str:
    counts = [(_NAMES[name], sum(module.verdict == name for module in modules)) for name in VERDICTS]
    return ", ".join("{} {}".format(count, name) for name, count in counts if count) or "none recorded in the core"


def _finding(module: ModuleEntry) -> Iterator[str]:
    yield "  {}: {}: {}".format(_NAMES[module.verdict], printable(module.path), printable(module.detail or ""))
    if module.verdict == MISMATCH:
        yield "    in the crashed process {}, in the file {}".format(*module.build_id)


def _advice(module: ModuleEntry) -> Iterator[str]:
    """What can still be done about it at the site."""
    detail = module.detail or ""
    if detail.startswith(NOT_READABLE):
        yield _ADVICE_READABLE
    elif detail.startswith((NOT_ITS_OWN, NOT_PROVED)):
        yield _ADVICE_TRUST
    elif detail.startswith(SEARCHED):
        return
    elif module.verdict in _ADVICE:
        yield _ADVICE[module.verdict]
        if module.executable:
            yield _ADVICE_EXECUTABLE


def _light_lines(manifest: Manifest) -> Iterator[str]:
    """What a light bundle leaves out, and which package databases cannot be read."""
    names = {(each.package, each.version) for each in manifest.left_out if each.package}
    known = [each.size for each in manifest.left_out if not each.package]
    packaged = [each.size for each in manifest.left_out if each.package]
    if packaged:
        text = "light:     {} of {} left out, {}: unchanged since installed"
        yield text.format(counted(len(packaged), "file"), counted(len(names), "package"), format_size(sum(packaged)))
    if known:
        yield "known:     {} left out, {}".format(counted(len(known), "file"), format_size(sum(known)))
    for omission in manifest.not_taken:
        if omission.path == PACKAGES:
            yield "  packages: {}".format(printable(omission.why))


def _lost_stacks(modules: Sequence[ModuleEntry]) -> List[str]:
    """Languages whose stacks are objects of the heap; a slim core keeps those of Python and JavaScript alone."""
    found = (language_of(module.path) for module in modules)
    return list(dict.fromkeys(each.name for each in found if each))


def _core_lines(manifest: Manifest) -> Iterator[str]:
    core = manifest.core
    included = "" if core.included else ", left out on request"
    yield "core:      {}, {} stored{}".format(format_size(core.size), format_size(core.stored), included)
    if core.original_stored is not None:
        yield "  slim: {} of {} kept".format(format_size(core.stored), format_size(core.original_stored))
        lost = _lost_stacks(manifest.modules)
        if lost:
            yield "    {} stacks are not in it: gather without --slim to keep them".format(" and ".join(lost))
    if core.redacted is not None:
        note = "" if core.redacted else ": the named text is not in the core, or not as these bytes"
        yield "  redacted: {} blanked{}".format(counted(core.redacted, "place"), note)
    if core.redacted_variables is not None:
        yield "  environment: " + _variables(core.redacted_variables)
        if core.redacted_variables:
            yield "    " + _NOT_LOOKED_FOR
    if core.truncated:
        yield "  TRUNCATED: {} missing of {} ({})".format(
            format_size(core.truncated.missing_bytes),
            format_size(core.truncated.expected_size),
            ", ".join(core.truncated.lost),
        )
        if core.truncated.cut_by:
            yield "    truncated by {}, according to the journal".format(printable(core.truncated.cut_by))
        yield "    for the next crash: ulimit -c unlimited, free disk space,"
        yield "      ProcessSizeMax= and ExternalSizeMax= in coredump.conf"


def _variables(names: Sequence[str]) -> str:
    if not names:
        return "none was found in the core"
    more = " and {} more".format(len(names) - _MAX_NAMES) if len(names) > _MAX_NAMES else ""
    listed = ", ".join(printable(name) for name in names[:_MAX_NAMES])
    return "the values of {} blanked: {}{}".format(counted(len(names), "variable"), listed, more)


def _result(manifest: Manifest, lacking: Sequence[str]) -> str:
    if is_exact(manifest) and lacking:
        return "INCOMPLETE: every file matches the crashed process, but requested files are missing: see above"
    if is_exact(manifest):
        return "exact: every file matches the crashed process"
    if any(module.verdict in _ADVICE for module in manifest.modules) or manifest.core.truncated:
        return "NOT EXACT: see above; the bundle can still be used"
    return "not fully verified: see above; the bundle can be used"


def list_lines(manifest: Manifest) -> List[str]:
    """What would be taken, what is missing and what stays."""
    lines = ["take     {:>12}  {}".format(entry.size, printable(entry.path)) for entry in manifest.files]
    lines += ["link     {:>12}  {} -> {}".format("", printable(e.path), printable(e.target)) for e in manifest.symlinks]
    if manifest.core.included:
        lines.append("take     {:>12}  the core".format(manifest.core.stored))
    lines += ["missing  {:>12}  {}: {}".format("", printable(r.path), r.why) for r in manifest.missing]
    lines += ["light    {:>12}  {}{}".format(e.size, printable(e.path), _whose(e)) for e in manifest.left_out]
    return lines + ["leave    {:>12}  {}: {}".format("", printable(r.path), r.why) for r in manifest.not_taken]


def _whose(entry: LeftOutFile) -> str:
    return printable(": {} {}".format(entry.package, entry.version)) if entry.package else ": known"


def summary_json(
    manifest: Manifest, written: Optional[WrittenBundle], warning: Optional[str], lacking: Sequence[str]
) -> str:
    """The summary for machines: verdict counts, the bundle, what it lacks, and what to know before it is sent."""
    counts = {name: sum(module.verdict == name for module in manifest.modules) for name in VERDICTS}
    return json.dumps(
        {
            "version": 1,
            "exact": is_exact(manifest),
            "verdicts": counts,
            "bundle": {"path": written.path, "identity": written.identity, "size": written.size} if written else None,
            "lacking": list(lacking),
            "warning": warning,
            "manifest": manifest.to_json(),
        },
        sort_keys=True,
        indent=1,
    )
