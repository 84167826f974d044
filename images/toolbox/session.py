"""gdb reads this before it opens the core: the one name of ours that its Python learns is ``corebox``."""

import sys

sys.path.insert(0, "/.corebox/toolbox/share/corebox/python")

import corebox.gdbside.session.commands

corebox.gdbside.session.commands.begin()
