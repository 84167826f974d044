# gdb's own implementation of the Debug Adapter Protocol (gdb/python/lib/gdb/dap): no API, and not stubbed further.

from typing import Any

def __getattr__(name: str) -> Any: ...
