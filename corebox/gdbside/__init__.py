"""What runs inside gdb: how it unwinds, what it answers, and what it tells whoever sits in front of it.

Imported by gdb's own Python, in the sandbox, from a copy in the toolbox (``corebox/image/inside.py``): nothing but the
standard library, ``gdb`` and ``corebox.coredump``. Nothing else of corebox imports this package.
"""
