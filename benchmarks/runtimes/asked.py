"""Runs inside gdb: what a report has of managed frames, and what processor time that takes beyond the native stacks."""

import json
import time
from collections.abc import Callable
from typing import Any

from corebox.gdbside.answers import report
from corebox.gdbside.runtimes import gocore, managed


def timed(ask: Callable[[], Any]) -> tuple[Any, float]:
    """What a function returns, and how long it took."""
    begin = time.process_time()
    return ask(), time.process_time() - begin


def everything() -> dict[str, Any]:
    """All steps of a report that tell of managed frames."""
    return {"stacks": report.stacks(), "python": report.python_stacks(), "goroutines": gocore.facts()}


ours, nothing = managed.managed, lambda _frame: None
managed.managed = nothing
report.stacks()  # symbols are read once
_, native = timed(report.stacks)
managed.managed = ours
managed.runtimes.forget()
gocore.runtime.forget()
found, whole = timed(everything)
print("answer:" + json.dumps({**found, "extra": whole - native}))
