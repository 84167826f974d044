"""HotSpot's compiled code: how large its frames are, by the tables of itself that the virtual machine has.

Such code has no unwind information and uses the frame pointer as any register. The virtual machine publishes where its
fields are (share/runtime/vmStructs.cpp, for the serviceability agent), and keeps for each piece of code the size of its
frames (share/code/codeBlob.hpp). In a frame, the caller's frame pointer is below the return address.
"""

from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple, TypeAlias

_MAX_ENTRIES, _MAX_HEAPS, _MAX_STEPS, _MAX_NAME_LENGTH = 1 << 13, 8, 1 << 11, 64
_SIZES = {"address": 8, "size_t": 8, "uint32_t": 4, "u4": 4, "int": 4, "u2": 2, "int16_t": 2, "bool": 1}
_FREE = 0xFF  # a segment of no block (share/memory/heap.hpp)
_MAX_FRAME_SIZE = 1 << 20
_INTERPRETER = "Interpreter"
#: What is raised of structures that are damaged, or none.
ODD = (LookupError, TypeError, ValueError, OverflowError)
_Heap: TypeAlias = tuple[int, int, int, int]  # code from and to, its segments, and the shift of their size


class Field(NamedTuple):
    """Where a field is: an address if it is static, else the offset in an object; and how many bytes it has."""

    at: int
    size: int


class Blob(NamedTuple):
    """A piece of code.

    Attributes:
        frame: bytes of its frames, 0 if it makes them as it likes.
        whole: from where on a frame is whole.
        interpreter: it is that of the interpreter.
        address: of what HotSpot knows of it, a ``CodeBlob``.
        code: where its instructions begin.
    """

    frame: int
    whole: int
    interpreter: bool
    address: int
    code: int


class Structures:
    """Where the fields of a HotSpot's objects are.

    Args:
        read: gives memory: address, size; a LookupError if it is not known.
        symbol: gives the address of a variable of the program; a LookupError if there is none.
        byte_order: of the process.

    Attributes:
        read: see there.
        fields: by class and name.
        sizes: of objects, in bytes, by class.

    Raises:
        LookupError, TypeError, ValueError, OverflowError: there is no HotSpot, or one that is damaged.
    """

    def __init__(
        self, read: Callable[[int, int], bytes], symbol: Callable[[str], int], byte_order: Literal["little", "big"]
    ) -> None:
        self.read, self._address, self._order = read, symbol, byte_order
        self.fields: dict[tuple[str, str], Field] = {}
        self.sizes: dict[str, int] = {}
        self._read_structures()

    def number(self, address: int, size: int = 8) -> int:
        """The number in memory."""
        return int.from_bytes(self.read(address, size), self._order)

    def _symbol(self, name: str) -> int:
        return self.number(self._address(name))

    def text(self, address: int) -> str:
        """The text at an address, "" for none."""
        if not address:
            return ""
        size = min(_MAX_NAME_LENGTH, 0x1000 - address % 0x1000)  # what is beyond the page may not be in the core
        data = self.read(address, size)
        if b"\0" not in data and size < _MAX_NAME_LENGTH:
            data += self.read(address + size, _MAX_NAME_LENGTH - size)
        return data.split(b"\0")[0].decode("utf-8", "replace")

    def _read_structures(self) -> None:
        offsets = {each: self._symbol(f"gHotSpotVMStructEntry{each}Offset") for each in (
            "TypeName", "FieldName", "TypeString", "IsStatic", "Offset", "Address")}  # fmt: skip
        start, step = self._symbol("gHotSpotVMStructs"), self._symbol("gHotSpotVMStructEntryArrayStride")
        for index in range(_MAX_ENTRIES):
            entry = {name: self.number(start + index * step + offset) for name, offset in offsets.items()}
            owner = self.text(entry["TypeName"])
            if not owner:
                break
            at = entry["Address"] if entry["IsStatic"] & 0xFFFFFFFF else entry["Offset"]
            size = _SIZES.get(self.text(entry["TypeString"]), 8)
            self.fields[owner, self.text(entry["FieldName"])] = Field(at, size)
        start, step = self._symbol("gHotSpotVMTypes"), self._symbol("gHotSpotVMTypeEntryArrayStride")
        name, size = (self._symbol(f"gHotSpotVMTypeEntry{each}Offset") for each in ("TypeName", "Size"))
        for index in range(_MAX_ENTRIES):
            owner = self.text(self.number(start + index * step + name))
            if not owner:
                break
            self.sizes[owner] = self.number(start + index * step + size)

    def get(self, owner: str, name: str, address: int = 0) -> int:
        """A field of an object; of the class if that has it."""
        field = self.fields[owner, name]
        return self.number(address + field.at, field.size)


class CodeCache:
    """The code of a HotSpot in the core; there is none in most. The arguments are those of ``Structures``.

    Attributes:
        structures: of that HotSpot; None if there is none.
    """

    def __init__(
        self, read: Callable[[int, int], bytes], symbol: Callable[[str], int], byte_order: Literal["little", "big"]
    ) -> None:
        self.structures: Structures | None = None
        self._heaps: list[_Heap] = []
        self._blobs: dict[int, Blob | None] = {}
        try:
            vm = Structures(read, symbol, byte_order)
            self._heaps = list(_heaps(vm))
        except ODD:  # another virtual machine, or none
            return
        self.structures = vm

    def blob(self, pc: int) -> Blob | None:
        """The piece of code at an address, or None."""
        if pc not in self._blobs:
            vm, heap = self.structures, next((each for each in self._heaps if each[0] <= pc < each[1]), None)
            try:
                self._blobs[pc] = _find(vm, heap, pc) if vm and heap else None
            except ODD:
                self._blobs[pc] = None
        return self._blobs[pc]


def _heaps(vm: Structures) -> Iterator[_Heap]:
    """Where code is."""
    array = vm.get("CodeCache", "_heaps")
    count = vm.number(array + vm.fields["GrowableArrayBase", "_len"].at, 4)
    data = vm.number(array + vm.fields["GrowableArray<int>", "_data"].at)
    for index in range(min(count, _MAX_HEAPS)):
        heap = vm.number(data + 8 * index)
        low, high = _space(vm, "_memory", heap)
        segments, _ = _space(vm, "_segmap", heap)
        yield low, high, segments, vm.get("CodeHeap", "_log2_segment_size", heap)


def _space(vm: Structures, name: str, heap: int) -> tuple[int, int]:
    """From where to where a VirtualSpace of a CodeHeap is in use."""
    start = heap + vm.fields["CodeHeap", name].at
    return vm.get("VirtualSpace", "_low", start), vm.get("VirtualSpace", "_high", start)


def _find(vm: Structures, heap: _Heap, pc: int) -> Blob | None:
    low, _, segments, shift = heap
    at = pc - low >> shift
    for _ in range(_MAX_STEPS):
        back = vm.number(segments + at, 1)
        if back == _FREE or back > at:
            return None
        if not back:
            break
        at -= back
    block = low + (at << shift)
    return _blob(vm, block + vm.sizes["HeapBlock"]) if vm.get("HeapBlock::Header", "_used", block) else None


def _blob(vm: Structures, blob: int) -> Blob:
    frame = 8 * vm.get("CodeBlob", "_frame_size", blob)
    if ("CodeBlob", "_code_begin") in vm.fields:
        code = vm.get("CodeBlob", "_code_begin", blob)
    else:
        code = blob + vm.get("CodeBlob", "_code_offset", blob)
    name = vm.text(vm.get("CodeBlob", "_name", blob))
    whole = code + vm.get("CodeBlob", "_frame_complete_offset", blob)
    return Blob(frame if frame < _MAX_FRAME_SIZE else 0, whole, name == _INTERPRETER, blob, code)
