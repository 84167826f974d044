"""The signature: what must not change it, and what must."""

import pytest

from corebox.debugger.answer import Frame, PythonFrame, Why
from corebox.report import skiplist
from corebox.report.document import PlacedFrame
from corebox.report.names import inlined_callable, library_name, plain_name
from corebox.report.python import PlacedPython
from corebox.report.signature import is_runtime, signature

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
    ("Maybe<T>::value() const &", "Maybe::value"),
    ("operator T const &()", "operator (conversion)"),
    ("Foo::operator std::string const&() const", "Foo::operator (conversion)"),
    ("operator new[](unsigned long)", "operator new[]"),
    ("void* operator new(unsigned long)", "operator new"),
    ("orders::price::h7f63a0b1c2d3e4f5", "orders::price"),
    ("orders::main::{closure#0}", "orders::main::{closure}"),
    ("<orders::Book<T> as core::fmt::Display>::fmt", "<orders::Book as core::fmt::Display>::fmt"),
    ("main::$_52::operator()(int) const", "main::{lambda}::operator()"),
    ("main::{lambda(int)#1}::operator()(int) const", "main::{lambda}::operator()"),
    ("total[abi:cxx11](int)", "total"),
    ("main.(*Order).total", "main.(*Order).total"),
    ("decltype (a->b) sum<int>(int)", "sum"),
    ("void {anonymous}::check(const Order&)", "{anonymous}::check"),
    ("T most(const List&) [with T = std::pair<int, long int>]", "most"),
]


@pytest.mark.parametrize(("function", "plain"), NAMES)
def test_a_function_has_one_name_however_it_was_compiled(function: str, plain: str) -> None:
    assert plain_name(function) == plain


INVOKE = "std::_Function_handler<void (), (anonymous namespace)::bugs::{lambda()#2}>::_M_invoke(std::_Any_data const&)"
CALLABLES = [
    (INVOKE, "{anonymous}::bugs::{lambda#2}"),
    ("std::__1::__function::__func<(anonymous namespace)::$_5, void()>::operator()", "{anonymous}::{lambda#5}"),
    (
        "std::_State_impl<std::_Invoker<std::tuple<Server::start(int)::{lambda()#1}> > >::_M_run()",
        "Server::start::{lambda#1}",
    ),
    ("std::__invoke_impl<void, main::'lambda0'(int)&>", "main::{lambda#0}"),
    ("std::vector<int, std::allocator<int> >::at(unsigned long)", None),
    ("main::{lambda()#1}::operator()() const", None),
]


@pytest.mark.parametrize(("function", "name"), CALLABLES)
def test_the_lambda_that_a_template_was_made_for(function: str, name: str | None) -> None:
    assert inlined_callable(function) == name


@pytest.mark.parametrize(
    "copy", ["__memmove_avx_unaligned_erms", "__memmove_evex_unaligned", "memmove", "__GI_memmove"]
)
def test_a_function_of_the_library_has_one_name_on_every_processor(copy: str) -> None:
    assert library_name(copy) == "memmove"


def frames(*names: str, module: str = "/opt/app") -> list[PlacedFrame]:
    """A stack of these functions; a name beginning with ``libc:`` is in libc, ``+`` has none, ``?`` is in no module."""
    found = []
    for level, name in enumerate(names):
        inside = "/lib/libc.so.6" if name.startswith("libc:") else None if name == "?" else module
        function = None if name.endswith(("+", "?")) else name.removeprefix("libc:")
        kind = "signal-handler" if name == "<signal>" else "normal"
        frame = Frame(0x1149, kind, function, None, None, (), ())
        found.append(PlacedFrame(frame, inside, None if inside is None else 0x49, level))
    return found


OVERFLOW = Why("stack-overflow", "Stack overflow", ())
NULL = Why("null-dereference", "Null pointer dereference", ())
STACKS = [
    (["copy", "send", "main"], NULL, "copy < send < main"),
    (["libc:__memmove_avx_unaligned_erms", "copy", "main"], NULL, "copy < main"),
    (["libc:+", "copy", "main"], NULL, "copy < main"),  # the same without debug files
    (["free", "copy", "main"], NULL, "copy < main"),  # linked statically
    (["compare", "libc:msort_with_tmp", "libc:qsort_r", "main"], NULL, "compare < main"),
    (["a", "b", "c", "d", "e", "f", "main"], NULL, "a < b < c < d < e"),
    (["?", "copy", "main"], NULL, "copy < main"),
    (["+", "main"], NULL, "app+0x49 < main"),
    (["libc:__memmove_avx_unaligned_erms", "libc:qsort_r"], NULL, "libc.so.6(memmove)"),
    (["?", "libc:+"], NULL, "libc.so.6+0x49"),
    ([], NULL, "(no module)"),
    # What happened to be on top when the stack was full does not count, nor how deep it was.
    (["deep"] * 90 + ["main"], OVERFLOW, "recursion of deep < main"),
    (["render", "deep", *["deep"] * 90, "main"], OVERFLOW, "recursion of deep < main"),
    (["libc:strlen", "log", "text", *["even", "odd"] * 40, "main"], OVERFLOW, "recursion of even, odd < main"),
    (["odd", "even"] * 40 + ["main"], OVERFLOW, "recursion of even, odd < main"),
    # A tree that is walked, and a function that is called at every level, are no endless recursion.
    (["leaf", *["walk"] * 40, "main"], NULL, "leaf < walk < main"),
    (
        ["crash", *["g_closure_invoke", "emit", "handler%d"] * 20, "main"],
        NULL,
        "crash < g_closure_invoke < emit < handler%d < main",
    ),
    (["deep"] * 120, NULL, "recursion of deep"),
]


@pytest.mark.parametrize(("stack", "why", "expected"), STACKS)
def test_the_signature_of_a_stack(stack: list[str], why: Why, expected: str) -> None:
    unlike = [name.replace("%d", str(level)) for level, name in enumerate(stack)] if "%d" in "".join(stack) else stack
    found = signature("SIGSEGV", frames(*unlike), why)
    if "%d" in expected:
        assert found.functions[:3] == ("crash", "g_closure_invoke", "emit")
        assert found.recursion == 0
    else:
        assert found.text == f"SIGSEGV {why.kind} in {expected}"
        assert found.family == f"{why.kind} in {expected.partition(' < ')[0].partition(',')[0]}"


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
    found = signature("SIGABRT", frames(*stack, "check", "main"), why)
    assert found.text == "SIGABRT assertion(order) in check < main"
    assert found.family == "assertion(order) in check"


def test_without_debug_information_a_template_stands_for_the_lambda_that_it_was_made_for() -> None:
    found = signature("SIGSEGV", frames(INVOKE, "main"), NULL)
    assert found.text == "SIGSEGV null-dereference in {anonymous}::bugs::{lambda#2} < main"
    assert signature("SIGSEGV", frames("pay", INVOKE, "main"), NULL).functions == ("pay", "main")


def test_with_debug_information_it_does_only_where_its_own_canary_was_overwritten() -> None:
    stack = frames(INVOKE, "main")
    stack[0] = stack[0]._replace(frame=stack[0].frame._replace(file="std_function.h", line=292))
    assert signature("SIGSEGV", stack, NULL).functions == ("main",)
    smashed = Why("stack-smashing", "Stack buffer overflow", ())
    assert signature("SIGABRT", stack, smashed).functions == ("{anonymous}::bugs::{lambda#2}", "main")
    assert signature("SIGABRT", stack, smashed._replace(function="copy_name")).family == "stack-smashing in copy_name"


def test_a_function_whose_frame_a_tail_call_replaced_counts() -> None:
    stack = frames("libc:abort", "Order::Order", "main")
    stack[1] = stack[1]._replace(frame=stack[1].frame._replace(tail_call="Order::check(int)"))
    assert signature("SIGABRT", stack, NULL).functions == ("Order::check", "Order::Order", "main")
    library = frames("libc:abort", "libc:report", "main")
    library[1] = library[1]._replace(frame=library[1].frame._replace(tail_call="os::abort"))
    assert signature("SIGABRT", library, NULL).functions == ("main",)
    stack[1] = stack[1]._replace(frame=stack[1].frame._replace(tail_call="std::terminate()"))
    assert signature("SIGABRT", stack, NULL).functions == ("Order::Order", "main")


def test_the_runtime_that_gave_up_is_nearer_than_the_c_library() -> None:
    stack = frames("libc:raise", "libc:abort", "os::abort")
    stack[2] = stack[2]._replace(module="/usr/lib/jvm/lib/server/libjvm.so")
    assert signature("SIGABRT", stack, None).functions == ("libjvm.so(os::abort)",)


def test_the_function_of_a_failed_assertion_counts_where_it_was_inlined() -> None:
    why = Why("assertion", "Assertion `order' failed", (), "order", function="void check(const Order&)")
    assert signature("SIGABRT", frames("libc:abort", "main"), why).functions == ("check", "main")
    assert signature("SIGABRT", frames("libc:abort", "check(Order const&)", "main"), why).functions == ("check", "main")


def test_an_abort_of_a_function_without_a_name_is_told_from_others_by_its_caller() -> None:
    why = Why("abort", "The program called abort()", ())
    found = signature("SIGABRT", frames("libc:abort", "+", "main"), why)
    assert found.family == "abort in app+0x49 < main"


def test_what_a_handler_did_afterwards_does_not_count() -> None:
    why = NULL._replace(frame=5)
    stack = frames("libc:abort", "flush_logs", "on_failure", "dispatch", "<signal>", "read_order", "main")
    assert signature("SIGSEGV", stack, why).text == "SIGSEGV null-dereference in read_order < main"


GUESSED = [
    # How the frames were found, and the functions that count: of those that are proved.
    (["registers", "cfi", "cfi"], "free_order < close < main"),
    (["registers", "call", "frame-pointer"], "free_order < close < main"),
    (["registers", "prologue", "cfi"], "free_order"),
    (["registers", "signal", "prologue"], "free_order < close"),
]


@pytest.mark.parametrize(("unwind", "expected"), GUESSED)
def test_frames_that_are_not_proved_and_what_rests_on_them_do_not_count(unwind: list[str], expected: str) -> None:
    stack = [
        each._replace(frame=each.frame._replace(unwind=how))
        for each, how in zip(frames("free_order", "close", "main"), unwind, strict=True)
    ]
    assert signature("SIGSEGV", stack, NULL).text == f"SIGSEGV null-dereference in {expected}"


def test_without_a_proved_function_of_its_own_the_innermost_module_is_named() -> None:
    innermost, guess = frames("libc:strlen", "copy")
    guess = guess._replace(frame=guess.frame._replace(unwind="prologue"))
    known = signature("SIGSEGV", [innermost, guess], NULL)
    assert (known.functions, known.own) == (("libc.so.6(strlen)",), False)


def test_what_ended_the_program_does_not_stand_for_what_asked_it_to() -> None:
    names = ["os::abort", "report_java_out_of_memory", "MemAllocator::allocate", "InterpreterRuntime::newarray"]
    stack = [*frames("libc:raise", "libc:abort"), *frames(*names, module="/lib/libjvm.so")]
    assert signature("SIGABRT", stack).functions == ("libjvm.so(MemAllocator::allocate)",)


def test_where_the_program_has_no_function_a_handlers_does_not_stand_for_it() -> None:
    stack = frames("libc:abort", "on_failure", "<signal>", "?", "libc:strlen")
    assert signature("SIGSEGV", stack, NULL._replace(frame=3)).functions == ("libc.so.6(strlen)",)


RUNTIMES = [
    "core::panicking::panic_fmt", "__rustc::rust_begin_unwind", "<alloc::vec::Vec as core::ops::Index>::index",
    "runtime.sigpanic", "runtime.gopanic", "google::LogMessage::Fail", "absl::lts_2023::log_internal::LogMessage::Die",
    "__asan::ReportGenericError", "__sanitizer::Die", "__interceptor_free", "folly::symbolizer::{anonymous}::handler",
    "v8::internal::Execution::Call", "node::Abort", "VMError::report_and_die", "_PyEval_EvalFrameDefault",
    "<T as core::convert::Into>::into", "<[T] as core::slice::SliceIndex>::index", "<str as core::ops::Index>::index",
    "_RNvNtCs5Q_4core9panicking9panic_fmt", "std::__cxx11::basic_string::_M_assign",
    "__cxxabiv1::__terminate", "je_free", "_Unwind_Resume", "__assert_fail",
]  # fmt: skip
OWN = [
    "main",
    "orders::price",
    "main.total",
    "copy_order",
    "google_orders",
    "node_parse",
    "frees",
    "core_dump",
    "javaScan",
    "memory_pool",
    "strategy",
    "heap_insert",
    "Thread::run",
    "string_to_order",
    "arena_alloc",
    "os::open",
    "<orders::Book as core::ops::drop::Drop>::drop",
    "_RNvCs9f_6orders4main",
]


@pytest.mark.parametrize("name", RUNTIMES)
def test_functions_of_runtimes_are_not_guilty(name: str) -> None:
    assert is_runtime(frames(name)[0])


@pytest.mark.parametrize("name", OWN)
def test_functions_of_a_program_may_be_guilty(name: str) -> None:
    assert not is_runtime(frames(name)[0])


def test_a_line_of_a_list_that_means_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="modul libc"):
        list(skiplist.lines("# a comment\n\nfunction abort\nmodul libc\n"))


def python(function: str, native: int | None, file: str = "/srv/orders.py") -> PlacedPython:
    return PlacedPython(PythonFrame(function, file, 7, True), native)


def test_pythons_functions_count_where_they_are_called() -> None:
    evaluator = "_PyEval_EvalFrameDefault"
    stack = frames("libc:strlen", "ffi_call", evaluator, "native_job", evaluator)
    library = "/usr/lib/python3.11/ctypes/__init__.py"
    placed = [python("string_at", 2, library), python("parse", 2), python("main", 4)]
    assert signature("SIGSEGV", stack, NULL, placed).text.endswith("orders.py:parse < native_job < orders.py:main")
    unplaced = [each._replace(native=None) for each in placed]
    assert signature("SIGSEGV", frames("libc:strlen"), NULL, unplaced).functions == (
        "orders.py:parse",
        "orders.py:main",
    )
