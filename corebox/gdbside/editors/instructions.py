"""Instructions before and after an address, for editors.

Where instructions have no fixed size one can only read forwards. So what comes before an address is read from the
start of its function, and where that is not known from some bytes before: a run that ends right at the address.
"""

import re

import gdb

MOST = 20_000  # instructions of one question
_WIDEST = 16  # bytes of an instruction, of any processor that gdb knows, and a byte more
_UNSURE = 12  # instructions after which a reader who began amid one has fallen into step
_FURTHEST = 1 << 16  # bytes back to the start of a function
_INTO = re.compile(r"(?: \+ (\d+))? in section ")


def disassemble(**asked):
    """DAP's request: as many as were asked for, those that cannot be read marked as invalid."""
    start = int(asked["memoryReference"], 0) + asked.get("offset", 0)
    instructions, count = asked.get("instructionOffset", 0), asked["instructionCount"]
    if max(abs(instructions), count) > MOST:
        raise gdb.GdbError(f"at most {MOST:,} instructions at once")
    back, wanted = max(0, -instructions), max(0, instructions + count)
    before, after = _before(start, back), _after(start, wanted)
    first = before[0]["addr"] if before else start
    end = after[-1]["addr"] + after[-1]["length"] if after else start
    missing = [_invalid(first - index) for index in range(back - len(before), 0, -1)]
    after += [_invalid(end + index) for index in range(wanted - len(after))]
    skipped = max(0, instructions)
    return {"instructions": _described([*missing, *before, *after][skipped : skipped + max(0, count)])}


def _invalid(address):
    return {"addr": max(0, address), "length": 0, "asm": "??"}


def _described(chosen):
    """As the protocol has them, with source and labels as gdb's own answer has these."""
    from gdb.dap import disassemble as dap  # noqa: PLC0415

    tracker, memory, found = dap._BlockTracker(), gdb.selected_inferior().read_memory, []
    for each in chosen:
        described = {"address": hex(each["addr"]), "instruction": each["asm"]}
        if each["length"]:
            described["instructionBytes"] = memory(each["addr"], each["length"]).hex()
            tracker.add_pc(each["addr"], described)
        else:
            described["presentationHint"] = "invalid"
        found.append(described)
    return found


def _architecture():
    try:
        return gdb.selected_frame().architecture()
    except gdb.error:
        return gdb.selected_inferior().architecture()


def _after(start, count):
    """Up to ``count`` instructions; fewer where memory ends."""
    if not count:
        return []
    architecture = _architecture()
    try:
        return architecture.disassemble(start, count=count)
    except gdb.error:  # not all can be read
        found = []
    try:
        while len(found) < count:
            found += architecture.disassemble(start, count=1)
            start = found[-1]["addr"] + found[-1]["length"]
    except gdb.error:
        pass
    return found


def _before(start, count):
    """Up to ``count`` instructions that end at ``start``; fewer where memory begins."""
    found = []
    while len(found) < count:
        end = found[0]["addr"] if found else start
        run = _from_function(end) or _guessed(end, count - len(found))
        if not run:
            break
        found = run + found
    return found[-count:] if count else []


def _from_function(end):
    """Instructions from the start of the function before ``end``."""
    try:
        said = gdb.execute(f"info symbol {end - 1:#x}", to_string=True)
    except gdb.error:
        return []
    into = _INTO.findall(said)
    distance = int(into[-1] or 0) + 1 if into else 0
    return _run(end - distance, end) if 0 < distance <= _FURTHEST else []


def _guessed(end, count):
    """Instructions from some bytes before ``end``, without the first ones, which may be wrong."""
    distance = (count + _UNSURE) * _WIDEST
    while distance > _WIDEST:
        for nearer in range(_WIDEST):
            run = _run(end - distance + nearer, end)
            if run:
                return run[_UNSURE:] if len(run) > _UNSURE else run[-1:]
        distance //= 2  # memory begins between
    return next(filter(None, (_run(end - near, end) for near in range(_WIDEST, 0, -1))), [])


def _run(start, end):
    """The instructions from ``start`` if one ends right at ``end``, else nothing."""
    if start < 0 or start >= end:
        return []
    try:
        found = _architecture().disassemble(start, end - 1)
    except gdb.error:
        return []
    return found if found and found[-1]["addr"] + found[-1]["length"] == end else []
