"""Where a fault was, told without gdb: the same in every crash of the same build at the same place."""

from pathlib import Path
from posixpath import basename

from corebox.coredump.core import open_core

#: The label of an image that says it.
FAULT = "io.corebox.fault"


def fault_place(core: Path) -> str:
    """Signal, module and offset of the instruction at which the process stopped: ``SIGSEGV sorter.so+0x1155``.

    It depends on no address: where a module was loaded is taken off. Of a jump to where nothing is mapped only the
    signal and ``(no module)`` remain. The report of the crash takes it from the image's label.

    Raises:
        InputError: ``not-a-core``, ``cannot-read``.
    """
    with open_core(str(core)) as opened:
        process = opened.process
        signal = process.signal_name or "no signal"
        counter = process.threads[0].program_counter if process.threads else None
        if counter is None:
            return signal
        for module in opened.modules:
            if module.start <= counter < module.end:
                return f"{signal} {basename(module.path)}+{counter - module.start:#x}"
        return f"{signal} (no module)"
