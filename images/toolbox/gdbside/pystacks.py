"""Runs inside gdb: the Python stacks of a CPython in the core.

pystack reads them natively, out of the interpreter's own tables, so that no debug files of Python are needed.
"""

import faulthandler
import sys

import corefile
import gdb

HOME = "/.corebox/toolbox/share/pystack"
MOST_FRAMES = 512
LONGEST = 60  # seconds


class PythonFrame:
    """A Python frame; the evaluator in C was called anew for it if ``entry``, else an outer frame's call runs it."""

    def __init__(self, function, file, line, entry):
        self.function, self.file, self.line, self.entry = function, file, line, entry


def is_python():
    """Whether a CPython (3.7 and later) is in the core: it exports its state under this name."""
    try:
        gdb.parse_and_eval("&_PyRuntime")
    except gdb.error:
        return False
    return True


def stacks():
    """Thread ID and frames, the innermost first, of each thread that runs Python.

    Ends gdb if pystack hangs, which nothing else could interrupt.

    Raises:
        RuntimeError: they cannot be read, and why.
    """
    program = gdb.current_progspace().filename
    if program is None:
        raise RuntimeError("gdb knows no executable")
    sys.path.insert(0, HOME)
    faulthandler.dump_traceback_later(LONGEST, exit=True, file=2)
    try:
        from pystack.engine import NativeReportingMode, get_process_threads_for_core  # noqa: PLC0415

        found = get_process_threads_for_core(corefile.PATH, program, native_mode=NativeReportingMode.OFF)
        return [(thread.tid, _frames(thread)) for thread in found]
    except Exception as error:  # whatever pystack makes of a damaged core: the caller wants words
        raise RuntimeError(" ".join(str(error).split()) or type(error).__name__) from error
    finally:
        faulthandler.cancel_dump_traceback_later()
        sys.path.remove(HOME)


def _frames(thread):
    # The list begins at the outermost frame; shims are marks that CPython 3.12 and later puts between two C calls.
    frames = [
        PythonFrame(each.code.scope, each.code.filename, each.code.location.lineno, each.is_entry)
        for each in thread.all_frames
        if not each.is_shim
    ]
    return frames[: -MOST_FRAMES - 1 : -1]


def lines():
    """The stack of the selected thread as Python's own traceback has it, the innermost frame last."""
    selected = gdb.selected_thread()
    if selected is None or not is_python():
        return ["no CPython of 3.7 or later runs in this core"]
    try:
        frames = dict(stacks()).get(selected.ptid[1])
    except RuntimeError as error:
        return [f"the Python stacks cannot be read: {error}"]
    if not frames:
        return ["this thread runs no Python"]
    told = [f'  File "{each.file}", line {each.line}, in {each.function}' for each in reversed(frames)]
    return ["Traceback (most recent call last):", *told]
