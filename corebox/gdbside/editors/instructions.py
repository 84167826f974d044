"""Instructions before and after an address, as the Debug Adapter Protocol has them."""

import re
from typing import Any

import gdb

from corebox.gdbside.editors.listing import Instruction, listing

_INTO = re.compile(r"(?: \+ (\d+))? in section ")


class _Code:
    """Instructions as gdb reads them."""

    def from_address(self, start: int, count: int) -> list[Instruction]:
        """Up to ``count`` instructions from ``start`` on."""
        try:
            return _instructions(_architecture().disassemble(start, count=count))
        except gdb.error:  # not all can be read
            found: list[Instruction] = []
        try:
            while len(found) < count:
                found += _instructions(_architecture().disassemble(start, count=1))
                start = found[-1].address + found[-1].size
        except gdb.error:
            pass
        return found

    def between(self, start: int, last: int) -> list[Instruction]:
        """The instructions that begin from ``start`` to ``last``."""
        try:
            return _instructions(_architecture().disassemble(start, last))
        except gdb.error:
            return []

    def start_of_function(self, address: int) -> int | None:
        """Where the symbol is that ``address`` belongs to; gdb's Python API has it in words only."""
        try:
            into = _INTO.findall(gdb.execute(f"info symbol {address:#x}", to_string=True))
        except gdb.error:
            return None
        return address - int(into[-1] or 0) if into else None


def disassemble(**asked: Any) -> dict[str, Any]:  # of the protocol
    """DAP's request: as many as were asked for, those that cannot be read marked as invalid."""
    start = int(asked["memoryReference"], 0) + asked.get("offset", 0)
    try:
        found = listing(_Code(), start, asked.get("instructionOffset", 0), asked["instructionCount"])
    except ValueError as error:
        raise gdb.GdbError(str(error)) from error
    return {"instructions": _described(found)}


def _described(chosen: list[Instruction]) -> list[dict[str, Any]]:
    """As the protocol has them, with source and labels as gdb's own answer has these."""
    from gdb.dap import disassemble as dap  # noqa: PLC0415

    tracker, memory, found = dap._BlockTracker(), gdb.selected_inferior().read_memory, []
    for each in chosen:
        described: dict[str, Any] = {"address": hex(each.address), "instruction": each.text}
        if each.size:
            described["instructionBytes"] = memory(each.address, each.size).hex()
            tracker.add_pc(each.address, described)
        else:
            described["presentationHint"] = "invalid"
        found.append(described)
    return found


def _instructions(found: list[dict[str, Any]]) -> list[Instruction]:
    return [Instruction(each["addr"], each["length"], each["asm"]) for each in found]


def _architecture() -> gdb.Architecture:
    try:
        return gdb.selected_frame().architecture()
    except gdb.error:
        return gdb.selected_inferior().architecture()
