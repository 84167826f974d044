"""What is derived from a core: a compact one, a slim one, one without secrets, and the original again.

Runs at the customer site: Python 3.6, standard library only.
"""
