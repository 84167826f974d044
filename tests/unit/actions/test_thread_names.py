"""Threads are named as the kernel knew them, where the core does not."""

from corebox.actions.report import with_names
from corebox.debugger.answer import Stack
from tests.unit.bundle.samples import RUNTIME


def test_threads_get_the_names_that_the_kernel_knew() -> None:
    stacks = [
        Stack(1, 43, None, (), "", True),
        Stack(2, 42, "gdb's own", (), "", True),
        Stack(3, 7, None, (), "", True),
    ]
    assert [each.name for each in with_names(stacks, RUNTIME)] == ["worker", "gdb's own", None]
    assert [each.name for each in with_names(stacks, None)] == [None, "gdb's own", None]
