"""The gatherer as a program: arguments in, a bundle and a summary out, an exit status for scripts."""

import argparse
import os
import re
import sys
import time
import traceback
from typing import Optional, Sequence, TextIO

from corebox.bundle import SUFFIX, Manifest, WrittenBundle, write_bundle
from corebox.coredump import open_core
from corebox.errors import CoreboxError, UsageError
from corebox.gather.collect import Wishes, collect
from corebox.gather.options import make_parser
from corebox.gather.progress import ProgressLine, format_size
from corebox.gather.summary import is_exact, list_lines, printable, summary_json, summary_lines
from corebox.gather.zipapp import make_zipapp


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run the gatherer and return its exit status; argparse itself exits for ``--help`` and wrong usage."""
    options = make_parser().parse_args(arguments)
    try:
        return run(options)
    except CoreboxError as error:
        _complain("error: " + printable(error.message))
        _complain("hint: " + printable(error.hint))
        return error.exit_status
    except KeyboardInterrupt:
        _complain("interrupted; nothing was written")
        return 130
    except Exception as error:  # noqa: BLE001  # the one place that turns a bug of ours into an exit status
        if os.environ.get("COREBOX_DEBUG"):
            traceback.print_exc()
        _complain("error: a bug in corebox: {}: {}".format(type(error).__name__, error))
        _complain("hint: please report it with the output of the same command under COREBOX_DEBUG=1")
        return CoreboxError.exit_status


def run(options: argparse.Namespace) -> int:
    """Do what the options say."""
    if options.make_zipapp:
        size = make_zipapp(options.make_zipapp)
        _say("wrote {}, {}".format(options.make_zipapp, format_size(size)))
        return 0
    if options.core is None:
        raise UsageError("no-core-given", "which core?", "give the core file: corebox-gather CORE; see --help")
    began = time.monotonic()
    with open_core(options.core) as core:
        collection = collect(core, wishes_of(options))
        if options.list:
            _say("\n".join(list_lines(collection.manifest)))
            return _finish(options, collection.manifest, None, began)
        out = options.output or default_name(collection.manifest)
        progress = ProgressLine(sys.stderr)
        try:
            source = core if collection.manifest.core.included else None
            written = write_bundle(
                out, collection.manifest, collection.sources, source, jobs=options.jobs, progress=progress
            )
        finally:
            progress.clear()
        return _finish(options, collection.manifest, written, began)


def wishes_of(options: argparse.Namespace) -> Wishes:
    """The customer's wishes from the options."""
    return Wishes(
        executable=options.executable,
        root=options.root,
        without_executable=options.no_exe,
        without_core=options.no_core,
        consent_hostname=options.consent_hostname,
    )


def default_name(manifest: Manifest) -> str:
    """The bundle's name from program and process: ``app-1234.corebox``."""
    process = manifest.process
    name = os.path.basename(process.executable or process.name or "") or "crash"
    safe = re.sub(r"[^A-Za-z0-9._+-]", "_", name).lstrip(".-") or "crash"
    return "{}-{}{}".format(safe, process.pid, SUFFIX) if process.pid else safe + SUFFIX


def _finish(options: argparse.Namespace, manifest: Manifest, written: Optional[WrittenBundle], began: float) -> int:
    if options.json:
        _say(summary_json(manifest, written))
    else:
        _say("\n".join(summary_lines(manifest, written, time.monotonic() - began)))
    return 0 if is_exact(manifest) else 1


def _say(text: str) -> None:
    _print(text, sys.stdout)


def _complain(text: str) -> None:
    _print(text, sys.stderr)


def _print(text: str, stream: TextIO) -> None:
    """Any path can be printed, whatever the locale."""
    encoding = stream.encoding or "ascii"
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
    stream.flush()
