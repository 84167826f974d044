"""Compiles the toolbox's Python, so that gdb does not do it at every start: its root is read-only.

Reads a JSON array of [source, name of the file in the image, target] on standard input. The pycs are "unchecked hash"
ones (PEP 552): they depend on the source alone, not on times. Run by corebox with a fixed PYTHONHASHSEED, because the
order of a set in a pyc follows it.
"""

import json
import os
import py_compile
import sys


def main() -> None:
    """Compile everything that compiles; the standard library has test data that does not."""
    parent = os.getppid()
    for source, name, target in json.load(sys.stdin):
        if os.getppid() != parent:
            sys.exit("corebox was killed")  # nobody waits for this, and the next corebox clears the folder away
        mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
        py_compile.compile(source, target, name, doraise=True, optimize=0, invalidation_mode=mode)


main()
