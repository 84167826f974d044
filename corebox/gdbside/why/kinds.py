"""What kind of fault it is, in a sentence, with what shows it.

Each kind has a rule, a function that looks for its signs and answers None if they are not there; the first answer
counts. The rules are in a module for each family.
"""

from collections.abc import Callable

from corebox.gdbside.why import c, cxx, go, memory, runtimes, rust, sanitizers, signals
from corebox.gdbside.why.facts import Cause, Fault, signal_name

Rule = Callable[[Fault], Cause | None]
#: In this order: what says more of the cause comes before the signal that it ended with.
KINDS: tuple[Rule, ...] = (
    *sanitizers.KINDS, *go.KINDS, *rust.KINDS, *runtimes.KINDS, *cxx.KINDS,
    *signals.SENT, *c.KINDS, *memory.FLOW, c.in_allocator, *memory.KINDS, *signals.KINDS,
)  # fmt: skip


def cause_of(fault: Fault) -> Cause:
    """The first kind that it is."""
    found = next(filter(None, (rule(fault) for rule in KINDS)), None)
    return found or Cause("other", signal_name(fault.signal), memory.evidence(fault))
