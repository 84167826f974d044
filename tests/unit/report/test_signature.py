"""The signature: what must not change it, and what must."""

import pytest

from corebox.debugger.answer import Frame, Why
from corebox.report.document import PlacedFrame
from corebox.report.signature import plain_name, signature

NAMES = [
    ("main", "main"),
    ("copy_order(Order const*, unsigned long)", "copy_order"),
    ("copy_order.isra.0", "copy_order"),
    ("copy_order.constprop.0.cold", "copy_order"),
    ("copy_order(Order*) [clone .part.3]", "copy_order"),
    ("copy_order[cold]", "copy_order"),
    ("std::vector<int, std::allocator<int> >::at(unsigned long) const", "std::vector::at"),
    ("int add<int>(int, int)", "add"),
    ("(anonymous namespace)::deep(int)", "{anonymous}::deep"),
    ("Money::operator<<(int)", "Money::operator<<"),
    ("Money::operator()(int) const", "Money::operator()"),
    ("memcpy@@GLIBC_2.14", "memcpy"),
]


@pytest.mark.parametrize(("function", "plain"), NAMES)
def test_a_function_has_one_name_however_it_was_compiled(function: str, plain: str) -> None:
    assert plain_name(function) == plain


def frames(*names: str, module: str = "/opt/app") -> list[PlacedFrame]:
    """A stack of these functions; a name beginning with ``libc:`` is in libc, ``+`` has none."""
    found = []
    for name in names:
        inside = "/lib/libc.so.6" if name.startswith("libc:") else module
        function = None if name.endswith("+") else name.removeprefix("libc:")
        found.append(PlacedFrame(Frame(0x1149, "normal", function, None, None, (), ()), inside, 0x49))
    return found


STACKS = [
    (["copy", "send", "main"], "SIGSEGV copy < send < main"),
    (["libc:__memmove_avx_unaligned_erms", "copy", "main"], "SIGSEGV libc < copy < main"),
    (["libc:__strlen_sse2", "copy", "main"], "SIGSEGV libc < copy < main"),
    (["libc:+", "copy", "main"], "SIGSEGV libc < copy < main"),  # the same without debug files
    (["free", "copy", "main"], "SIGSEGV copy < main"),  # linked statically
    (["compare", "libc:msort_with_tmp", "libc:qsort_r", "main"], "SIGSEGV compare < main"),
    (["a", "b", "c", "d", "e", "f", "main"], "SIGSEGV a < b < c < d < e"),
    (["deep"] * 40 + ["main"], "SIGSEGV recursion of deep < main"),
    (["even", "odd"] * 40 + ["main"], "SIGSEGV recursion of even, odd < main"),
    (["odd", "even"] * 40 + ["main"], "SIGSEGV recursion of even, odd < main"),
    (["+", "main"], "SIGSEGV app+0x49 < main"),
    ([], "SIGSEGV nowhere"),
]


@pytest.mark.parametrize(("stack", "expected"), STACKS)
def test_the_signature_of_a_stack(stack: list[str], expected: str) -> None:
    assert signature("SIGSEGV", frames(*stack)) == expected


#: From glibc 2.31, 2.36 and 2.41, with and without debug files; and musl's.
ABORTS = [
    ["libc:raise", "libc:abort", "libc:+", "libc:__assert_fail"],
    ["libc:__pthread_kill_implementation", "libc:__GI_raise", "libc:__GI_abort", "libc:__assert_fail_base"],
    ["libc:pthread_kill@@GLIBC_2.34", "libc:raise", "libc:abort", "libc:+"],
    ["libc:abort"],
]


@pytest.mark.parametrize("stack", ABORTS)
def test_an_abort_is_the_same_in_every_release_of_the_library(stack: list[str]) -> None:
    why = Why("assertion", "Assertion `order' failed", (), "order")
    assert signature("SIGABRT", frames(*stack, "check", "main"), why) == "SIGABRT assertion(order) < check < main"
    assert signature("SIGABRT", frames(*stack, "check", "main")) == "SIGABRT abort < check < main"
