"""The gatherer as a program: arguments in, a bundle and a summary out, an exit status for scripts."""

import argparse
import signal
import sys
from typing import Optional, Sequence

from corebox.errors import INTERRUPTION, as_corebox_error, caused_by_interruption
from corebox.gather.preset import load_preset, parse_arguments, preset_arguments
from corebox.gather.terminal import complain, say
from corebox.printable import printable

_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


def main(arguments: Optional[Sequence[str]] = None, program: str = "corebox-gather.pyz") -> int:
    """Run the gatherer and return its exit status; argparse itself exits for ``--help``.

    ``program`` is what the user calls it.
    """
    words = sys.argv[1:] if arguments is None else arguments
    as_json = "--json" in words
    before = {number: signal.signal(number, _interrupt) for number in _SIGNALS}
    try:
        preset = load_preset()
        with preset_arguments(preset, words) as all_words:
            options = parse_arguments(program, all_words, preset)
            from corebox.files.ahead import looking_ahead  # noqa: PLC0415  # --help and --version have ended by now

            with looking_ahead(_read_in_full(options), 0 if options.no_nice else 19) as ahead:
                from corebox.gather.run import run  # noqa: PLC0415  # it takes as long as the search

                return run(options, preset, ahead)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  # the one place for what nobody else caught
        return _explain(error, as_json)
    finally:
        for number, action in before.items():
            signal.signal(number, action)


def _read_in_full(options: argparse.Namespace) -> Optional[str]:
    """The core, if a bundle of all of it is to be written as it is: a slim one is another file by then."""
    left_out = options.list or options.dry_run or options.no_core or options.slim
    if left_out or options.core is None:
        return None
    from corebox.files.magic import compression_of  # noqa: PLC0415  # as below

    return None if compression_of(options.core) else options.core


def _explain(error: BaseException, as_json: bool) -> int:
    """Say what went wrong, with ``as_json`` also as a document, and return the exit status."""
    if caused_by_interruption(error):
        complain(INTERRUPTION)
        return 130
    ours = as_corebox_error(error)
    complain("error: " + printable(ours.message))
    for line in ours.context.get("advice", ()):  # type: ignore[attr-defined]
        complain("  " + printable(line))
    complain("hint: " + printable(ours.hint))
    if as_json:
        import json  # noqa: PLC0415

        say(json.dumps(ours.to_json(), sort_keys=True, indent=1))
    return ours.exit_status


def _interrupt(*_: object) -> None:
    """A session that breaks off must leave as little behind as Ctrl-C does."""
    raise KeyboardInterrupt
