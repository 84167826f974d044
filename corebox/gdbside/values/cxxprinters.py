"""Our pretty-printers of GCC's C++ library, for customers' machines that have none.

They are registered for all files, where gdb looks last (gdb manual, "Selecting Pretty-Printers"): the customer's own,
which their auto-load script registers for their libstdc++, come first.
"""

import sys

HOME = "/.corebox/toolbox/share/libstdcxx"


def register() -> None:
    """Register them, if the toolbox has them; the name of the package stays free for the customer's script."""
    sys.path.insert(0, HOME)
    try:
        from libstdcxx.v6 import printers  # noqa: PLC0415
    except ImportError:
        return
    finally:
        sys.path.remove(HOME)
        for name in [each for each in sys.modules if each.partition(".")[0] == "libstdcxx"]:
            del sys.modules[name]
    printers.register_libstdcxx_printers(None)
