"""What the Python stacks of a CPython need: frames, their code objects, names, and tables of lines.

Every object begins with its reference count and its type, and has its length behind them if it has one.
"""

from typing import Dict, Iterable, Iterator, List, Mapping

from corebox.reduce.keeper import Keeper

_TYPES = {"code": "PyCode_Type", "function": "PyFunction_Type", "tuple": "PyTuple_Type"}
NAMES = tuple(_TYPES.values())
_WORD = 8
_FRAME_WORDS = 12  # of a frame: its code, and the frame that called it, are among the first in all versions
_BLOCK_WORDS = 32  # of a frame with some locals, or a code object
_HEAD_SIZE = 64  # bytes of a text without its characters, and of other objects all that matters
_NAME_AT = 24  # in a type: its name
_MAX_TEXT = 1 << 14
_MAX_ITEMS = 32
MAX_FRAMES = 20000


class Interpreter:
    """A CPython; ``exported`` are addresses in the process of its ``NAMES``."""

    def __init__(self, exported: Mapping[str, int], keeper: Keeper) -> None:
        self._types = {kind: exported.get(name, 0) for kind, name in _TYPES.items()}
        self._keeper = keeper

    def keep(self, roots: Iterable[int]) -> None:
        """Keep what is needed of the frames that ``roots`` lead to."""
        codes: Dict[int, None] = {}
        for frame in self._frames(roots):
            self._keeper.keep(frame, _BLOCK_WORDS * _WORD)
            codes.update(dict.fromkeys(filter(self._is_code, self._keeper.words(frame, _FRAME_WORDS))))
            # A method is named after the class of its first argument.
            for word in self._objects_in(frame):
                self._keep_type(word)
        for code in codes:
            self._keeper.keep(code, _BLOCK_WORDS * _WORD)
            for word in self._objects_in(code):
                self._keep_object(word)

    def _frames(self, roots: Iterable[int]) -> List[int]:
        """Blocks that have a code object among their first words, and those that they lead to."""
        seen: Dict[int, None] = dict.fromkeys(word for word in roots if word % _WORD == 0)
        found: List[int] = []
        todo = list(seen)
        while todo and len(found) < MAX_FRAMES:
            further: Dict[int, None] = {}
            for block in filter(self._is_frame, todo):
                found.append(block)
                further.update(dict.fromkeys(self._objects_in(block, _FRAME_WORDS)))
            todo = [word for word in further if word not in seen]
            seen.update(further)
        return found

    def _is_frame(self, block: int) -> bool:
        words = self._keeper.words(block, _FRAME_WORDS)
        own_type = words[1] if len(words) > 1 else 0
        return own_type not in (self._types["function"], self._types["code"]) and any(map(self._is_code, words))

    def _is_code(self, word: int) -> bool:
        return self._is_object(word) and self._keeper.word(word + _WORD) == self._types["code"]

    def _is_object(self, word: int) -> bool:
        return word % _WORD == 0 and self._keeper.is_address(word)

    def _objects_in(self, block: int, words: int = _BLOCK_WORDS) -> Iterator[int]:
        return filter(self._is_object, self._keeper.words(block, words))

    def _keep_object(self, word: int) -> None:
        length = self._keeper.word(word + 2 * _WORD)
        self._keeper.keep(word, _HEAD_SIZE + (length if length < _MAX_TEXT else 0))
        if self._keeper.word(word + _WORD) == self._types["tuple"]:
            for item in self._objects_in(word + 3 * _WORD, min(length, _MAX_ITEMS)):
                self._keeper.keep(item, _HEAD_SIZE)

    def _keep_type(self, word: int) -> None:
        own_type = self._keeper.word(word + _WORD)
        if self._is_object(own_type):
            self._keeper.keep(word, _HEAD_SIZE)
            self._keeper.keep(own_type, _HEAD_SIZE)
            self._keeper.keep(self._keeper.word(own_type + _NAME_AT), _HEAD_SIZE)
