"""Bytes and files, for all packages above: names beneath a root, holes, temporary files, compression, archives.

Runs at the customer site: Python 3.6, standard library only.
"""
