"""Pretty-printers that go wrong, as those of a customer may (gdb manual, "Writing a Pretty-Printer")."""

import ctypes

import gdb


class Deadly:
    """Crashes gdb."""

    def __init__(self, value):
        self.value = value

    def to_string(self):
        return ctypes.string_at(0)


class Endless(Deadly):
    """Never comes back."""

    def to_string(self):
        while True:
            pass


class Long(Deadly):
    """Says too much."""

    def to_string(self):
        return "long " * 1000


def look_up(value):
    return {"Deadly": Deadly, "Endless": Endless, "Long": Long}.get(value.type.strip_typedefs().name, lambda _: None)(
        value
    )


gdb.pretty_printers.append(look_up)
