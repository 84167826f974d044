"""corebox: open a customer's core file with exactly the files it was mapped from.

The package root imports nothing, so that no part of corebox can pull in another by accident.
"""

__version__ = "0.1.0"
