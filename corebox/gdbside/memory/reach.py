"""How much of a core may be read to look for something: of one that is fetched as it is read, little."""

import os

#: Set by the session if the core is in a registry (``corebox.debugger.session.FAR``).
_FAR = "COREBOX_CORE_IS_FAR"
_MOST = 8 << 20  # bytes


def within_reach(size: int) -> int:
    """At most ``size`` bytes, fewer if they would have to come over a network."""
    return min(size, _MOST) if os.environ.get(_FAR) else size
