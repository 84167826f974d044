"""A minidump of a core, read by its format's own description."""

import io
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from corebox.coredump.core import CoreFile, open_core
from corebox.errors import InputError
from corebox.reduce import minidump
from corebox.reduce.minidump import MinidumpFacts, write_minidump

RealCore = Callable[[str], Path]


def streams(data: bytes) -> dict[int, bytes]:
    """Each stream by its kind."""
    signature, version, count, directory = struct.unpack_from("<4I", data)
    assert (signature, version & 0xFFFF) == (0x504D444D, 0xA793)
    found = [struct.unpack_from("<3I", data, directory + index * 12) for index in range(count)]
    assert all(offset + size <= len(data) for _, size, offset in found)
    return {kind: data[offset : offset + size] for kind, size, offset in found}


def made(core: CoreFile, time: int = 0) -> bytes:
    out = io.BytesIO()
    assert write_minidump(core, MinidumpFacts(core.modules, time), out) == len(out.getvalue())
    return out.getvalue()


def text_at(data: bytes, offset: int) -> str:
    (size,) = struct.unpack_from("<I", data, offset)
    return data[offset + 4 : offset + 4 + size].decode("utf-16-le")


def test_threads_modules_and_the_signal_are_those_of_the_core(real_core: RealCore) -> None:
    with open_core(str(real_core("dynamic"))) as core:
        data = made(core, 1234)
        found, threads = streams(data), core.process.threads
        assert struct.unpack_from("<I", data, 20) == (1234,)
        (count,) = struct.unpack_from("<I", found[3])
        assert count == len(threads)
        for index, thread in enumerate(threads):
            tid, start, size, at, length, context = struct.unpack_from("<I20xQIIII", found[3], 4 + index * 48)
            assert (tid, length) == (thread.tid, 1232)
            (flags,) = struct.unpack_from("<I", data, context + 48)
            assert flags == 0x0010000F
            assert struct.unpack_from("<Q", data, context + 152) == (thread.stack_pointer,)
            assert struct.unpack_from("<Q", data, context + 248) == (thread.program_counter,)
            assert start <= (thread.stack_pointer or 0) < start + size
            assert data[at : at + size] == core.read(start, size)
        (modules,) = struct.unpack_from("<I", found[4])
        assert modules == len(core.modules)
        for index, module in enumerate(core.modules):
            base, size, name, record, at = struct.unpack_from("<QI8xI52xII", found[4], 4 + index * 108)
            assert (base, base + size, text_at(data, name)) == (module.start, module.end, module.path)
            assert data[at : at + record] == b"LEpB" + bytes.fromhex(module.build_id or "")
        tid, number, code, address = struct.unpack_from("<I4xII8xQ", found[6])
        assert (tid, number, code) == (threads[0].tid, core.process.signal, core.process.signal_code)
        assert address == core.process.fault_address
        assert struct.unpack_from("<3I", found[15])[2] == core.process.pid
        assert f"{core.modules[0].start:x}-".encode() in found[0x47670009]


def test_stacks_are_bounded_each_and_together(real_core: RealCore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(minidump, "MAX_STACK", 4096)
    monkeypatch.setattr(minidump, "MAX_STACKS", 4096 + 100)
    with open_core(str(real_core("dynamic"))) as core:
        found = streams(made(core))
        (count,) = struct.unpack_from("<I", found[3])
        sizes = [struct.unpack_from("<I", found[3], 4 + index * 48 + 32)[0] for index in range(count)]
    assert max(sizes) <= 4096
    assert sum(sizes) <= 4096 + 100


@pytest.mark.parametrize("name", ["aarch64", "i386"])
def test_other_machines_are_refused(real_core: RealCore, name: str) -> None:
    with open_core(str(real_core(name))) as core, pytest.raises(InputError, match="no minidump can be made") as raised:
        made(core)
    assert raised.value.code == "no-minidump"


@pytest.mark.parametrize("name", ["static", "gcore", "patched", "segments"])
def test_every_kind_of_core_gives_one(real_core: RealCore, name: str) -> None:
    with open_core(str(real_core(name))) as core:
        assert {3, 4, 5, 6, 7, 15} <= set(streams(made(core)))
