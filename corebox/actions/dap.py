"""Let an editor or IDE debug a crash, through the Debug Adapter Protocol."""

import contextlib
import os
import signal
import socket
from collections.abc import Callable, Iterator
from typing import NoReturn

from corebox.actions.session import Session
from corebox.debugger.adapter import Adapter, Client, relay
from corebox.errors import CoreboxError, HostError, UsageError

_LOOPBACK = ("127.0.0.1", "::1", "localhost")


def serve_streams(session: Session) -> None:
    """Debug with the client at our standard streams.

    Raises:
        InputError, HostError: those of ``relay``.
    """
    # A reader of our own: Python cannot end while a thread reads from its standard input.
    reading = os.fdopen(os.dup(0), "rb")
    with ended_by_signals(), until_gone(), os.fdopen(os.dup(1), "wb") as writing:
        _serve(session, Client(reading, writing))


def serve_port(session: Session, listening: socket.socket, complain: Callable[[CoreboxError], None]) -> NoReturn:
    """Debug with one client after the other who connects; ``complain`` is told what went wrong with one."""
    with ended_by_signals(), listening:
        while True:
            connection, _ = listening.accept()
            with until_gone(), connection, connection.makefile("rb") as reading, connection.makefile("wb") as writing:
                try:
                    _serve(session, Client(reading, writing))
                except CoreboxError as error:
                    complain(error)
                with contextlib.suppress(OSError):  # it is not connected any more
                    connection.shutdown(socket.SHUT_RDWR)


def listen(text: str, anywhere: bool) -> socket.socket:
    """A socket that listens on ``PORT`` or ``HOST:PORT``; see ``parse_address``.

    Raises:
        UsageError: ``bad-address``.
        HostError: ``port-taken``.
    """
    host, port = parse_address(text, anywhere)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        hint = "choose another port; 0 lets the system choose"
        raise HostError("port-taken", f"cannot listen on {host}, port {port}: {error.strerror}", hint) from error


def parse_address(text: str, anywhere: bool) -> tuple[str, int]:
    """``PORT`` or ``HOST:PORT``; without ``anywhere`` the host must be this machine's loopback.

    Raises:
        UsageError: ``bad-address``.
    """
    host, _, port = text.rpartition(":")
    host = host.strip("[]") or "127.0.0.1"
    if not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise UsageError("bad-address", f"{text!r} is not an address", "give PORT or HOST:PORT, e.g. 127.0.0.1:4711")
    if host not in _LOOPBACK and not anywhere:
        hint = "listen on 127.0.0.1 and forward the port (ssh -L); or permit it: --allow-remote"
        raise UsageError("bad-address", f"{host} would let other machines read the crash without a password", hint)
    return host, int(port)


def _serve(session: Session, client: Client) -> None:
    with session.engine.pipe(session.sandbox, session.command) as gdb:
        relay(client, gdb, Adapter(session.crash.inside, session.sources, session.notices))


def until_gone() -> contextlib.AbstractContextManager[None]:
    """A client that is gone ends its session, also if that is seen when the last of it is sent."""
    return contextlib.suppress(ConnectionError)


@contextlib.contextmanager
def ended_by_signals() -> Iterator[None]:
    """Editors end what they started by a signal: it must leave as little behind as Ctrl-C does."""

    def interrupt(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, action in before.items():
            signal.signal(number, action)
