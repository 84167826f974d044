"""The bundle: one archive with a core file and every file it was mapped from, written, read safely, and proved.

``docs/reference/bundle-format.md`` is the specification. Runs at the customer's: Python 3.6, standard library only.
"""
