"""What the JavaScript stacks of a V8 need: functions, their names, scripts, sources and tables of lines.

Pointers to its objects have their lowest bit set.
"""

from typing import Dict, Iterable, Iterator, Mapping, Optional, Set

from corebox.coredump.v8names import NAMES as V8_NAMES
from corebox.reduce.keeper import Keeper

_KINDS = ("is_shared", "is_script", "is_scope", "is_bytecode", "is_bytes", "no_string")
_STRINGS = ("length", "kind_mask", "sequential", "encoding_mask", "is_one_byte")
_CONSTANTS = {
    "word": ("TaggedSize",),
    **{key: V8_NAMES[key] for key in ("shared", "instance_type", *_KINDS, *_STRINGS)},
}
NAMES = tuple("v8dbg_" + name for names in _CONSTANTS.values() for name in names)
_WORD = 8
_HEAD_WORDS = 16  # of a function, its shared information, a script, and before the bytes of a bytecode array
_SCOPE_WORDS = 160
_MAX_TEXT = 1 << 18
_MAX_NESTING = 16
MAX_OBJECTS = 20000


class Heap:
    """V8's heap in a core; ``constants`` as of ``_CONSTANTS``."""

    def __init__(self, constants: Mapping[str, int], keeper: Keeper) -> None:
        self._is = constants
        self._keeper = keeper
        self._seen: Set[int] = set()

    @classmethod
    def of(cls, exported: Mapping[str, int], keeper: Keeper) -> "Optional[Heap]":
        """The heap, if all constants are exported and words are not compressed."""
        constants: Dict[str, int] = {}
        for key, names in _CONSTANTS.items():
            value = next((exported["v8dbg_" + name] for name in names if "v8dbg_" + name in exported), None)
            if value is None:
                return None
            constants[key] = value
        return cls(constants, keeper) if constants["word"] == _WORD else None

    def keep(self, roots: Iterable[int]) -> None:
        """Keep what is needed of the functions and bytecode that ``roots`` lead to."""
        for word in roots:
            if len(self._seen) < MAX_OBJECTS and self._is_object(word):
                kind = self._kind(word)
                if kind == self._is["is_bytecode"]:
                    self._keep_bytecode(word)
                shared = self._keeper.word(word - 1 + self._is["shared"])
                for each in (word, shared):
                    if self._is_object(each) and self._kind(each) == self._is["is_shared"]:
                        self._keeper.keep(word - 1, _HEAD_WORDS * _WORD)
                        self._keep_shared(each)

    def _keep_shared(self, shared: int) -> None:
        for word in self._objects_in(shared, _HEAD_WORDS):
            kind = self._kind(word)
            if kind == self._is["is_scope"]:
                for text in self._objects_in(word, _SCOPE_WORDS):
                    self._keep_text(text)
            elif kind == self._is["is_script"]:
                for text in self._objects_in(word, _HEAD_WORDS):
                    self._keep_text(text)
            elif kind == self._is["is_bytecode"]:
                self._keep_bytecode(word)
            else:
                self._keep_text(word)

    def _keep_bytecode(self, array: int) -> None:
        for word in self._objects_in(array, _HEAD_WORDS):
            if self._kind(word) == self._is["is_bytes"]:
                self._keeper.keep(word - 1, 2 * _WORD + min(self._keeper.word(word - 1 + _WORD) >> 32, _MAX_TEXT))

    def _keep_text(self, text: int, nesting: int = 0) -> None:
        kind = self._kind(text)
        if kind >= self._is["no_string"] or nesting > _MAX_NESTING or text in self._seen:
            return
        if kind & self._is["kind_mask"] != self._is["sequential"]:
            for part in self._objects_in(text, 5):
                self._keep_text(part, nesting + 1)
            return
        self._seen.add(text)
        at = text - 1 + self._is["length"]
        length = self._keeper.word(at & -_WORD) >> 8 * (at % _WORD) & 0xFFFFFFFF
        width = 1 if kind & self._is["encoding_mask"] == self._is["is_one_byte"] else 2
        self._keeper.keep(text - 1, 2 * _WORD + min(width * length, _MAX_TEXT))

    def _objects_in(self, thing: int, words: int) -> Iterator[int]:
        """The objects that an object leads to, which is kept; each object is gone through once."""
        if thing in self._seen or len(self._seen) >= MAX_OBJECTS:
            return
        self._seen.add(thing)
        self._keeper.keep(thing - 1, words * _WORD)
        for word in self._keeper.words(thing - 1, words)[1:]:
            if self._is_object(word):
                yield word

    def _is_object(self, word: int) -> bool:
        return word & 1 == 1 and self._keeper.is_address(word)

    def _kind(self, thing: int) -> int:
        """The instance type of an object, which its map has."""
        map_ = self._keeper.word(thing - 1)
        if not self._is_object(map_):
            return 1 << 16
        at = map_ - 1 + self._is["instance_type"]
        self._keeper.keep(at, 2)
        return self._keeper.word(at & -_WORD) >> 8 * (at % _WORD) & 0xFFFF
