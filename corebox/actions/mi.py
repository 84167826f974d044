"""Let a client of gdb's machine interface, for example CLion or Emacs, debug a crash."""

import os
import signal
from pathlib import PurePosixPath

from corebox.actions.dap import ended_by_signals, until_gone
from corebox.actions.session import Session
from corebox.debugger.adapter import Client
from corebox.debugger.mi import Mapped, Translator, quote, relay
from corebox.printable import printable

_TIME_LIMIT = 60.0  # seconds for gdb to say its version


def show_version(session: Session) -> bytes:
    """What gdb answers to ``--version``, which clients ask before they start it."""
    return session.engine.run(session.sandbox, (*session.command, "--version"), _TIME_LIMIT).output


def serve(session: Session) -> None:
    """Debug with the client at our standard streams; notices come as text for its console.

    Raises:
        HostError: those of ``relay``.
    """
    # Clients interrupt what runs by this signal. Nothing of a core does, but gdb may be at work for long.
    # By a handler, not SIG_IGN: what we start would ignore it, too (signal(7)).
    before = signal.signal(signal.SIGINT, lambda *_: None)
    # A reader of our own: Python cannot end while a thread reads from its standard input.
    reading = os.fdopen(os.dup(0), "rb")
    try:
        with ended_by_signals(), until_gone(), os.fdopen(os.dup(1), "wb") as writing:
            for notice in session.notices:
                writing.write(b"&" + quote(f"note: {printable(notice)}\n".encode()) + b"\n")
            with session.engine.pipe(session.sandbox, session.command) as gdb:
                signal.signal(signal.SIGINT, lambda *_: session.engine.interrupt(gdb))
                relay(Client(reading, writing), gdb, Translator(session.sources, _modules(session)))
    finally:
        signal.signal(signal.SIGINT, before)


def _modules(session: Session) -> tuple[Mapped, ...]:
    listed = session.crash.opened.manifest.modules
    return tuple(Mapped(each.start, each.end, PurePosixPath(each.path).name) for each in listed)
