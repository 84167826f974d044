"""corebox: open a customer's core file with exactly the files it was mapped from.

No package imports its own modules: none can pull in another by accident, and no command waits for what it does not use.
"""

__version__ = "0.1.0"
