"""Reads the methods of a Java frame out of HotSpot's own structures: of the interpreter and of compiled code.

What is found is taken only if it makes sense: a method must be among those of its own class. Everything is bounded, for
the memory may be an attacker's.
"""

import re
import struct
from collections.abc import Iterator
from typing import NamedTuple

from corebox.gdbside.frames.hotspot import ODD, Blob, Structures

_WORD = 8
#: Where the interpreter keeps its method and its place in the bytecode, from the frame pointer on (frame_x86.hpp and
#: frame_aarch64.hpp, interpreter_frame_method_offset and interpreter_frame_bcp_offset).
_METHOD, _BYTECODE = -3 * _WORD, -8 * _WORD
_MAX_NAME_LENGTH, _MAX_METHODS, _MAX_PLACES, _MAX_TABLE_SIZE = 512, 1 << 16, 1 << 16, 1 << 16
_MAX_INLINED = 64
_MAX_SCOPE_SIZE = 15  # bytes of the three numbers at its beginning
_COMPILED = ("nmethod", "native nmethod")
_HAS_LINES = 1  # ConstMethod::_has_linenumber_table
_PLACE = struct.Struct("<iiii")  # a PcDesc
#: Releases from this one on write no byte of a number as 0 (share/utilities/unsigned5.hpp).
_WITHOUT_ZERO = 20
_HIDDEN = re.compile(r"[/+]0x[0-9a-f]+$")  # the address in the name of a class that was made at run time


class Method(NamedTuple):
    """A method with its class; ``file`` and ``line``, counted from 1, are None where the class file does not say."""

    name: str
    file: str | None
    line: int | None


class Methods:
    """The methods of a HotSpot in the core."""

    def __init__(self, vm: Structures) -> None:
        self._vm = vm
        self._known: dict[tuple[int, int | None], Method] = {}
        self._places: dict[int, dict[int, int]] = {}
        try:
            self._excluded = int(vm.get("Abstract_VM_Version", "_vm_major_version") >= _WITHOUT_ZERO)
        except ODD:
            self._excluded = 0

    def of_frame(self, blob: Blob, pc: int, frame_pointer: int) -> tuple[Method, ...]:
        """What a frame runs: the innermost method first, then those that it was inlined into; none if it is no method.

        Args:
            blob: the code at ``pc``.
            pc: a return address, but for the innermost frame.
            frame_pointer: the frame's own, if the code is the interpreter's.
        """
        try:
            if blob.interpreter:
                method = self._vm.number(frame_pointer + _METHOD)
                return (self._method(method, self._vm.number(frame_pointer + _BYTECODE) - self._code(method)),)
            if self._vm.text(self._vm.get("CodeBlob", "_name", blob.address)) not in _COMPILED:
                return ()
            owner = "nmethod" if self._is_apart() else "CompiledMethod"
            method = self._vm.get(owner, "_method", blob.address)
            return tuple(self._inlined(blob, pc)) or (self._method(method, None),)
        except ODD:
            return ()

    def _method(self, method: int, bytecode: int | None) -> Method:
        key = method, bytecode
        if key not in self._known:
            self._known[key] = self._read_method(method, bytecode)
        return self._known[key]

    def _read_method(self, method: int, bytecode: int | None) -> Method:
        const = self._vm.get("Method", "_constMethod", method)
        pool = self._vm.get("ConstMethod", "_constants", const)
        owner = self._vm.get("ConstantPool", "_pool_holder", pool)
        if not self._declares(owner, method):
            raise ValueError("no method")
        name = self._text(pool, self._vm.get("ConstMethod", "_name_index", const))
        type_name = _HIDDEN.sub("", self._symbol(self._vm.get("Klass", "_name", owner))).replace("/", ".")
        in_pool = ("ConstantPool", "_source_file_name_index") in self._vm.fields  # in the class up to 14
        holder = ("ConstantPool", pool) if in_pool else ("InstanceKlass", owner)
        index = self._vm.get(holder[0], "_source_file_name_index", holder[1])
        file = self._text(pool, index) if index else None
        return Method(f"{type_name}.{name}", file, None if bytecode is None else self._line(const, bytecode))

    def _declares(self, owner: int, method: int) -> bool:
        """Whether a method is among those of a class."""
        array = self._vm.get("InstanceKlass", "_methods", owner)
        count = self._vm.number(array, 4)
        at = array + self._vm.fields["Array<Method*>", "_data"].at
        return 0 < count <= _MAX_METHODS and (method,) in struct.iter_unpack("<Q", self._vm.read(at, _WORD * count))

    def _text(self, pool: int, index: int) -> str:
        """An entry of a pool of constants, which is a symbol."""
        if not 0 < index < self._vm.get("ConstantPool", "_length", pool):
            raise ValueError("no such constant")
        return self._symbol(self._vm.number(pool + self._vm.sizes["ConstantPool"] + _WORD * index))

    def _symbol(self, symbol: int) -> str:
        length = self._vm.get("Symbol", "_length", symbol)
        data = self._vm.read(symbol + self._vm.fields["Symbol", "_body"].at, min(length, _MAX_NAME_LENGTH))
        return data.decode("utf-8", "replace")

    def _code(self, method: int) -> int:
        """Where the bytecode of a method begins."""
        return self._vm.get("Method", "_constMethod", method) + self._vm.sizes["ConstMethod"]

    def _line(self, const: int, bytecode: int) -> int | None:
        """The line of an instruction, by the table behind the bytecode."""
        size = self._vm.get("ConstMethod", "_code_size", const)
        name = "_flags" if ("ConstMethod", "_flags") in self._vm.fields else "_flags._flags"
        flags = self._vm.get("ConstMethod", name, const)
        if not 0 <= bytecode < size or not flags & _HAS_LINES:
            return None
        start = self._vm.sizes["ConstMethod"] + size
        whole = _WORD * self._vm.get("ConstMethod", "_constMethod_size", const)
        table = self._vm.read(const + start, max(0, min(whole - start, _MAX_TABLE_SIZE)))
        found, before = None, -1
        for at, line in line_table(table, self._excluded):
            if before < at <= bytecode:  # of several the nearest
                found, before = line, at
        return found

    def _inlined(self, blob: Blob, pc: int) -> Iterator[Method]:
        """The methods at a place of compiled code, of which the end of each call is told."""
        scope, start = self._scopes(blob).get(pc - blob.code, 0), self._data(blob, "_scopes_data")
        for _ in range(_MAX_INLINED):
            if not scope:
                return
            data = self._vm.read(start + scope, _MAX_SCOPE_SIZE)
            scope, at = number_at(data, 0, self._excluded)
            method, at = number_at(data, at, self._excluded)
            place, _at = number_at(data, at, self._excluded)
            yield self._method(self._vm.number(self._metadata(blob) + _WORD * (method - 1)), place - 1)

    def _scopes(self, blob: Blob) -> dict[int, int]:
        """By the place in compiled code where its scopes are told."""
        if blob.address not in self._places:
            start = self._data(blob, "_scopes_pcs")
            end = self._data(blob, "_scopes_data" if self._is_apart() else "_dependencies")
            if not 0 <= end - start <= _PLACE.size * _MAX_PLACES:
                raise ValueError("too many places")
            size = (end - start) // _PLACE.size * _PLACE.size
            data = self._vm.read(start, size) if size else b""  # code that calls native functions tells nothing
            self._places[blob.address] = {at: scope for at, scope, _, _ in _PLACE.iter_unpack(data)}
        return self._places[blob.address]

    def _is_apart(self) -> bool:
        """Whether what is told of code is not behind it, as since 23."""
        return ("nmethod", "_immutable_data") in self._vm.fields

    def _data(self, blob: Blob, name: str) -> int:
        """Where something about compiled code begins."""
        if ("CompiledMethod", f"{name}_begin") in self._vm.fields:
            return self._vm.get("CompiledMethod", f"{name}_begin", blob.address)
        start = self._vm.get("nmethod", "_immutable_data", blob.address) if self._is_apart() else blob.address
        return start + self._vm.get("nmethod", f"{name}_offset", blob.address)

    def _metadata(self, blob: Blob) -> int:
        if self._is_apart():
            moved = self._vm.get("CodeBlob", "_mutable_data", blob.address)
            return moved + self._vm.get("CodeBlob", "_relocation_size", blob.address)
        return blob.address + self._vm.get("nmethod", "_metadata_offset", blob.address)


def line_table(table: bytes, excluded: int) -> Iterator[tuple[int, int]]:
    """Place in the bytecode and line (share/code/compressedStream.hpp, CompressedLineNumberReadStream).

    A byte has both as differences, of 5 bits and of 3; 0 is the end, and 255 says that two numbers with signs follow.
    """
    place = line = at = 0
    while table[at]:
        if table[at] == 0xFF:
            first, at = number_at(table, at + 1, excluded)
            second, at = number_at(table, at, excluded)
            place, line = place + (first >> 1 ^ -(first & 1)), line + (second >> 1 ^ -(second & 1))
        else:
            place, line, at = place + (table[at] >> 3), line + (table[at] & 7), at + 1
        yield place, line


def number_at(data: bytes, at: int, excluded: int) -> tuple[int, int]:
    """A number in at most five bytes, all but the last of 192 and more, and where the next one begins."""
    number = 0
    for shift in range(0, 30, 6):
        byte = data[at]
        number, at = number + (byte - excluded << shift), at + 1
        if byte < 192:
            break
    return number, at
