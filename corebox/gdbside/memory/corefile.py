"""The core's own tables, which gdb does not give to Python: what was mapped, with which rights, from which file.

And the signal: gdb takes the one in the last thread's note, where the kernel writes it too, but not qemu-user.
"""

import bisect
import pathlib
import struct

PATH = "/.corebox/core"
PF_X, PF_W, PF_R = 1, 2, 4
_PT_LOAD, _PT_NOTE = 1, 4
_NT_PRSTATUS, _NT_AUXV, _NT_FILE = 1, 6, 0x46494C45
_MOST_HEADERS, _LARGEST_NOTE = 1 << 20, 16 << 20


class Mapping:
    """A run of memory of one set of rights; ``path`` is the mapped file's, "" without one, ``offset`` where in it."""

    def __init__(self, start, end, flags):
        self.start, self.end, self.flags, self.path, self.offset = start, end, flags, "", 0

    def rights(self):
        """As /proc/PID/maps has them: ``r-x``."""
        return "".join(char if self.flags & bit else "-" for char, bit in (("r", PF_R), ("w", PF_W), ("x", PF_X)))


class CoreFile:
    """The tables of an ELF core (elf(5)); every count and size is bounded, for the core may be anybody's.

    Attributes:
        word: bytes of an address.
        byte_order: "little" or "big".
        mappings: what was mapped, by address.
        signal: what the first thread died of, None if it did not.
        auxv: the auxiliary vector (getauxval(3)) by key.
    """

    def __init__(self, path=PATH):
        with pathlib.Path(path).open("rb") as file:
            ident = file.read(64)
            self._wide = ident[4] == 2
            self.byte_order = "little" if ident[5] == 1 else "big"
            self.word = 8 if self._wide else 4
            self.signal, self.auxv = None, {}
            headers = self._headers(file, ident)
            self.mappings = self._loads(headers)
            for offset, size in ((each[2], each[4]) for each in headers if each[0] == _PT_NOTE):
                file.seek(offset)
                self._read_notes(file.read(min(size, _LARGEST_NOTE)))

    def _headers(self, file, ident):
        """Type, flags, offset, address, file size, memory size of each."""
        start = self.unpack("Q" if self._wide else "I", ident, 32 if self._wide else 28)[0]
        count = self.unpack("H", ident, 56 if self._wide else 44)[0]
        if count == 0xFFFF:  # PN_XNUM: the number is in the first section header's sh_info
            sections = self.unpack("Q" if self._wide else "I", ident, 40 if self._wide else 32)[0]
            file.seek(sections + (44 if self._wide else 28))
            count = self.unpack("I", file.read(4), 0)[0]
        size = 56 if self._wide else 32
        file.seek(start)
        data = file.read(min(count, _MOST_HEADERS) * size)
        found = []
        for at in range(0, len(data) - size + 1, size):
            if self._wide:
                kind, flags, offset, address, _, stored, memory, _ = self.unpack("IIQQQQQQ", data, at)
            else:
                kind, offset, address, _, stored, memory, flags, _ = self.unpack("IIIIIIII", data, at)
            found.append((kind, flags, offset, address, stored, memory))
        return found

    def _loads(self, headers):
        """Neighbours of equal rights are one: the compact core cuts a mapping at its holes."""
        found = []
        for _, flags, _, address, _, memory in sorted((h for h in headers if h[0] == _PT_LOAD), key=lambda h: h[3]):
            if found and found[-1].end == address and found[-1].flags == flags:
                found[-1].end += memory
            elif memory:
                found.append(Mapping(address, address + memory, flags))
        return found

    def _read_notes(self, notes):
        at, threads = 0, 0
        while at + 12 <= len(notes):
            name, size, kind = self.unpack("III", notes, at)
            start = at + 12 + (name + 3 & ~3)
            body = notes[start : start + size]
            if kind == _NT_FILE:
                self._name_files(body)
            elif kind == _NT_AUXV:
                pairs = struct.Struct(self._prefix + ("QQ" if self._wide else "II"))
                self.auxv.update(pairs.iter_unpack(body[: len(body) // pairs.size * pairs.size]))
            elif kind == _NT_PRSTATUS:
                threads += 1
                if threads == 1 and size >= 14:
                    self.signal = self.unpack("H", body, 12)[0] or None  # pr_cursig (linux/elfcore.h)
            at = start + (size + 3 & ~3)

    def _name_files(self, note):
        """NT_FILE: count, page size, then start, end, offset in pages of each, then the names (core(5))."""
        word, code = self.word, "Q" if self._wide else "I"
        if len(note) < 2 * word:
            return
        count, page = self.unpack(code * 2, note, 0)
        if count > len(note) // (3 * word):
            return
        names = note[(2 + 3 * count) * word :].split(b"\0")
        files = [self.unpack(code * 3, note, (2 + 3 * index) * word) for index in range(count)]
        for (start, end, offset), name in zip(files, names, strict=False):
            self._name(start, end, offset * page, name.decode("utf-8", "replace"))

    def _name(self, start, end, offset, path):
        index = self._cut(start)
        if index is not None:
            self._cut(end)
            self.mappings[index].path, self.mappings[index].offset = path, offset

    def _cut(self, address):
        """Let a mapping begin at ``address``, which neighbours may have been joined over; its index, or None."""
        index = self._index(address)
        if index is None or self.mappings[index].start == address:
            return index
        each = self.mappings[index]
        self.mappings.insert(index + 1, Mapping(address, each.end, each.flags))
        each.end = address
        return index + 1

    def _index(self, address):
        index = bisect.bisect_right(self.mappings, address, key=lambda each: each.start) - 1
        return index if index >= 0 and address < self.mappings[index].end else None

    @property
    def _prefix(self):
        return "<" if self.byte_order == "little" else ">"

    def unpack(self, code, data, at):
        """Values at an offset, in the core's byte order; see struct."""
        return struct.unpack_from(self._prefix + code, data, at)

    def at(self, address):
        """The mapping that has ``address``, or None."""
        index = self._index(address)
        return None if index is None else self.mappings[index]

    def next_to(self, address, most):
        """The nearest mapping that begins at most ``most`` bytes above ``address``, or None."""
        return next((each for each in self.mappings if 0 <= each.start - address <= most), None)

    def below(self, address):
        """The last mapping that begins at or below ``address``, or None."""
        index = bisect.bisect_right(self.mappings, address, key=lambda each: each.start) - 1
        return self.mappings[index] if index >= 0 else None
