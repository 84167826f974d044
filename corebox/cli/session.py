"""What the commands that ask gdb have in common."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import click

from corebox.actions.cores import AUTO, CORES
from corebox.actions.session import SessionOptions
from corebox.actions.subject import Found, Pulling, find_subject
from corebox.cli import options, output
from corebox.cli.places import places as places_options
from corebox.cli.pulling import pulling as with_pulling
from corebox.locate.places import SymbolOptions
from corebox.store.store import Store


class Session(NamedTuple):
    """What the user chose: how gdb is run, and how a subject is fetched and read."""

    options: SessionOptions
    pulling: Pulling
    identity: Path | None

    def find(self, store: Store, subject: str) -> Found:
        """What ``subject`` names; see ``find_subject``."""
        return find_subject(store, subject, self.pulling, self.identity)

    def silent(self, tell: Callable[[str], None]) -> "Session":
        """The same for a client: nothing is written to its terminal, and ``tell`` gets what would be noted."""
        pulling = self.pulling._replace(fetching=lambda _: None)
        return self._replace(options=self.options._replace(tell=tell), pulling=pulling)


def _told_once() -> Callable[[str], None]:
    """Notes what it is told, but for what it has been told before: many crashes have one engine."""
    said: set[str] = set()

    def tell(text: str) -> None:
        if text not in said:
            said.add(text)
            output.note(f"note: {text}")

    return tell


_python_path = click.option(
    "--python-path",
    type=click.Path(path_type=Path, readable=False),
    multiple=True,
    metavar="DIR",
    help="A folder whose Python packages gdb imports, e.g. your pretty-printers. Repeatable.",
)


_core = click.option(
    "--core",
    "fetch",
    type=click.Choice(CORES),
    default=AUTO,
    show_default=True,
    help="How the core gets to gdb: read from the bundle or registry as gdb asks (on-demand), fetched first (whole), "
    "or on-demand where it is large and this machine can (auto).",
)


def session(function: Callable[..., int]) -> Callable[..., int]:
    """Give a command the options of a session, and their values as the argument ``session``."""

    @places_options
    @options.other_symbols
    @options.sources
    @options.identity
    @options.engine
    @_core
    @with_pulling
    @options.no_customer_code
    @_python_path
    @functools.wraps(function)
    def command(
        *,
        places: tuple[str, ...],
        force: bool,
        no_debuginfod: bool,
        sources: tuple[str, ...],
        identity: Path | None,
        engine: str,
        fetch: str,
        pulling: Pulling,
        no_customer_code: bool,
        python_path: tuple[Path, ...],
        **others: Any,
    ) -> int:
        wanted = SymbolOptions(places, not no_debuginfod, force, pulling.ca_file, pulling.plain_http)
        chosen = SessionOptions(
            engine=engine,
            fetch=fetch,
            customer_code=not no_customer_code,
            symbols=wanted,
            sources=sources,
            python_path=python_path,
            tell=_told_once(),
        )
        return function(session=Session(chosen, pulling, identity), **others)

    return command
