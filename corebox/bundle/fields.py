"""Typed access to the fields of a JSON object that a stranger wrote."""

import os
import re
from typing import Dict, List, Optional, Sequence, Tuple, TypeVar

from corebox.bundle.faults import damaged
from corebox.errors import InputError
from corebox.files.paths import is_canonical

_ADDRESS = re.compile(r"0x[0-9a-f]{1,16}\Z")
_HEX = re.compile(r"([0-9a-f]{2}){1,64}\Z")
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_MODE = re.compile(r"0[0-7]{3}\Z")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z\Z")
_MAX_NUMBER = 1 << 63

Value = TypeVar("Value")


class Fields:
    """A JSON object; each method returns one field of a certain type or raises InputError ``bundle-damaged``."""

    def __init__(self, value: object, where: str) -> None:
        if not isinstance(value, dict):
            raise damaged(where + " is not an object")
        self._value: Dict[str, object] = value
        self._where = where

    def names(self) -> List[str]:
        """Names of all fields, sorted."""
        return sorted(self._value)

    def _get(self, name: str) -> object:
        if name not in self._value:
            raise damaged("{} lacks {}".format(self._where, name))
        return self._value[name]

    def _wrong(self, name: str) -> InputError:
        return damaged("{}: {} is {!r:.80}".format(self._where, name, self._value[name]))

    def _is_null(self, name: str) -> bool:
        """Bundles of earlier gatherers lack what was added since, and everything of that kind may be null."""
        return self._value.get(name) is None

    def fields(self, name: str) -> "Fields":
        """An object."""
        return Fields(self._get(name), "{}: {}".format(self._where, name))

    def fields_or_none(self, name: str) -> Optional["Fields"]:
        """An object or null."""
        return None if self._is_null(name) else self.fields(name)

    def _array(self, name: str) -> Sequence[object]:
        value = self._get(name)
        if not isinstance(value, list):
            raise self._wrong(name)
        return value

    def objects(self, name: str) -> List["Fields"]:
        """An array of objects."""
        return [Fields(item, "{}: {}".format(self._where, name)) for item in self._array(name)]

    def texts(self, name: str) -> Tuple[str, ...]:
        """An array of strings."""
        return tuple(self._text(item, name) for item in self._array(name))

    def texts_or_none(self, name: str) -> Optional[Tuple[str, ...]]:
        """An array of strings or null."""
        return None if self._is_null(name) else self.texts(name)

    def _text(self, value: object, name: str) -> str:
        if not isinstance(value, str) or "\0" in value:
            raise self._wrong(name)
        try:
            return os.fsdecode(value.encode("utf-8", "surrogateescape"))
        except UnicodeEncodeError as error:
            raise self._wrong(name) from error

    def text(self, name: str) -> str:
        """A string that a file system could hold: no NUL, no surrogates other than those of undecodable bytes."""
        return self._text(self._get(name), name)

    def text_or_none(self, name: str) -> Optional[str]:
        """A string or null."""
        return None if self._is_null(name) else self.text(name)

    def _number(self, name: str, lowest: int) -> int:
        value = self._get(name)
        if not isinstance(value, int) or isinstance(value, bool) or not lowest <= value < _MAX_NUMBER:
            raise self._wrong(name)
        return value

    def number(self, name: str) -> int:
        """An integer of 0 to 2**63 - 1."""
        return self._number(name, 0)

    def number_or_none(self, name: str) -> Optional[int]:
        """Such an integer or null."""
        return None if self._is_null(name) else self.number(name)

    def signed_or_none(self, name: str) -> Optional[int]:
        """An integer that may be negative, or null."""
        return None if self._is_null(name) else self._number(name, -_MAX_NUMBER)

    def flag(self, name: str) -> bool:
        """A truth value."""
        value = self._get(name)
        if not isinstance(value, bool):
            raise self._wrong(name)
        return value

    def choice(self, name: str, allowed: Sequence[str]) -> str:
        """One of the allowed strings."""
        value = self.text(name)
        if value not in allowed:
            raise self._wrong(name)
        return value

    def choice_or_none(self, name: str, allowed: Sequence[str]) -> Optional[str]:
        """One of the allowed strings, or null."""
        return None if self._is_null(name) else self.choice(name, allowed)

    def path(self, name: str) -> str:
        """A canonical path."""
        value = self.text(name)
        if not is_canonical(value):
            raise self._wrong(name)
        return value

    def path_or_none(self, name: str) -> Optional[str]:
        """A canonical path or null."""
        return None if self._is_null(name) else self.path(name)

    def _matching(self, name: str, pattern: "re.Pattern[str]") -> str:
        value = self.text(name)
        if not pattern.match(value):
            raise self._wrong(name)
        return value

    def address(self, name: str) -> int:
        """An address written 0x…."""
        return int(self._matching(name, _ADDRESS), 16)

    def address_or_none(self, name: str) -> Optional[int]:
        """Such an address or null."""
        return None if self._is_null(name) else self.address(name)

    def hex_or_none(self, name: str) -> Optional[str]:
        """Bytes in lower-case hex, or null."""
        return None if self._is_null(name) else self._matching(name, _HEX)

    def sha256(self, name: str) -> str:
        """A SHA-256 in lower-case hex."""
        return self._matching(name, _SHA256)

    def mode(self, name: str) -> int:
        """Permission bits, without set-id and sticky bits, written in octal."""
        return int(self._matching(name, _MODE), 8)

    def time(self, name: str) -> str:
        """A UTC time like 2026-11-24T02:00:00Z."""
        return self._matching(name, _TIME)
