"""What comes from a core is data: before it is printed, nothing is left in it that moves a cursor.

Runs at the customer's: Python 3.6, standard library only.
"""


def printable(text: str) -> str:
    """The text without control characters, which a hostile path could use to rewrite the terminal."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)
