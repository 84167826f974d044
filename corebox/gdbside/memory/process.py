"""The process in the core as gdb shows it: bytes at an address, and where a symbol is."""

import gdb


def read(address: int, size: int) -> bytes:
    """Memory of the process.

    Raises:
        LookupError: it is not known.
    """
    try:
        return gdb.selected_inferior().read_memory(address, size).tobytes()
    except (gdb.error, OverflowError, ValueError) as error:
        raise LookupError(str(error)) from error


def address_of(symbol: str) -> int:
    """Where a symbol is; quote one that is no name in C.

    Raises:
        LookupError: the program does not have it.
    """
    try:
        with gdb.with_parameter("language", "c"):  # in Go's this is no expression
            return int(gdb.parse_and_eval(f"(unsigned long) &{symbol}"))
    except gdb.error as error:
        raise LookupError(f"the program does not export {symbol}") from error


def has(symbol: str) -> bool:
    """Whether the program has a symbol."""
    try:
        return bool(address_of(symbol))
    except LookupError:
        return False
