# Dies in C, called from Python in the way that the first word says.
import ctypes
import sys


def read_invoice(level):
    if level > 0:
        return read_invoice(level - 1)
    return ctypes.string_at(0)


def in_another_interpreter():
    import _xxsubinterpreters as interpreters

    interpreters.run_string(
        interpreters.create(),
        "import ctypes\ndef read_ledger():\n    return ctypes.string_at(0)\nread_ledger()\n",
    )


if sys.argv[1] == "deep":
    sys.setrecursionlimit(5000)
    read_invoice(1000)
elif sys.argv[1] == "other":
    in_another_interpreter()
else:
    read_invoice(0)
