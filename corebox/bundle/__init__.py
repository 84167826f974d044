"""The bundle: one archive with a core file and every file it was mapped from; its format, and how it is written.

``docs/reference/bundle-format.md`` is the specification. Runs at the customer site: Python 3.6, standard library only.
"""
