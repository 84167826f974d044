"""``corebox info``."""

from pathlib import Path

import click

from corebox.actions.info import info
from corebox.actions.subject import Pulling, resolve
from corebox.bundle.manifest import MemoryEntry
from corebox.cli import options, output
from corebox.cli.pulling import pulling as with_pulling
from corebox.describe.crash import origin_lines
from corebox.gather.summary import summary_lines
from corebox.locate.status import ModuleSymbols
from corebox.report.memory import judge_memory
from corebox.report.words import memory_lines
from corebox.store.store import Store


@click.command("info", short_help="Show what crashed, how, its memory and its modules.")
@options.subject
@options.root
@options.identity
@with_pulling
@options.as_json
def command(*, subject: str, root: str, identity: Path | None, pulling: Pulling, as_json: bool) -> int:
    """Show what crashed, how, its memory, and what is known about each module.

    SUBJECT is a bundle, an image of the store or of a registry, or a bare core.
    """
    store = Store.default()
    found = info(store, resolve(store, subject, pulling, identity), root)
    if as_json:
        output.say_json(found.to_json())
        return 0
    output.say(f"{found.kind}:".ljust(11) + found.name)
    if found.compared_with:
        output.say(f"compared:  with the files beneath {found.compared_with}")
    if found.identity:
        output.say(f"identity:  {found.identity}")
    for line in summary_lines(found.manifest, None, 0):
        output.say(line)
    if found.manifest.memory:
        output.table([("MEMORY", "MAPPED", "RESIDENT", "IN THE CORE"), *map(_memory_row, found.manifest.memory)])
        first, *others = memory_lines(judge_memory(found.manifest))
        output.say(f"memory:    {first}")
        for line in others:
            output.say(f"  {line}")
    output.table(
        (module.verdict, _symbols(known), f"{module.start:#x}", module.build_id.memory or "no build ID", module.path)
        for module, known in zip(found.manifest.modules, found.symbols, strict=True)
    )
    for line in origin_lines(found.manifest):
        output.say(line)
    return 0


def _symbols(known: ModuleSymbols) -> str:
    package = f" ({known.package})" if known.package else ""
    return f"symbols {known.symbols or 'not known'}{package}"


def _memory_row(entry: MemoryEntry) -> tuple[str, ...]:
    resident = "cannot tell" if entry.resident is None else output.size(entry.resident)
    return (entry.kind, output.size(entry.virtual), resident, output.size(entry.dumped))
