"""The table of kinds: what each rule takes for its sign, and which rule comes first."""

import pytest

from corebox.gdbside.why.facts import Cause, Fault
from corebox.gdbside.why.kinds import cause_of
from tests.unit.gdbside.standin import DATA, HEAP, STACK, TEXT, USUAL, WRITE, StandIn, core, fault, words

PC, SP = TEXT + 0x100, STACK + 0x8000
ILL, TRAP, ABRT, BUS, FPE, SEGV, STOP, SYS = 4, 5, 6, 7, 8, 11, 19, 31
MESSAGE = DATA + 0x100


def at(instruction: str, memory: dict[int, bytes] | None = None, **registers: int) -> StandIn:
    """A debugger at an instruction."""
    return StandIn({"sp": SP, **registers}, memory, {PC: instruction})


def said(symbol: str, text: bytes, names: tuple[str, ...] = ("raise", "abort", "work")) -> Fault:
    """An abort with a message behind its size, as glibc keeps it."""
    size = len(text) + 8
    memory = {MESSAGE: size.to_bytes(4, "little") + text + bytes(64)}
    return fault(ABRT, -6, sender=100, names=names, asked=StandIn({"sp": SP}, memory, values={symbol: MESSAGE}))


def printed(text: bytes, *names: str) -> Fault:
    """An abort of these functions with a text in the heap."""
    asked = StandIn({"sp": SP}, {HEAP: bytes(64) + text + bytes(0x20000 - len(text))})
    return fault(ABRT, -6, sender=100, names=names, asked=asked)


ABORT = "*(char **) &__abort_msg"
CASES: dict[str, tuple[Fault, str, str]] = {
    "null": (fault(SEGV, 1, 8, asked=at("mov 8(%rax),%ecx", rax=0)), "null-dereference", "(offset 8)"),
    "null itself": (fault(SEGV, 1, 0), "null-dereference", "Null pointer dereference"),
    "wild": (fault(SEGV, 1, 0x12345678), "bad-pointer", "invalid pointer: 0x12345678"),
    "read-only": (fault(SEGV, 2, DATA), "read-only", "Write to read-only memory"),
    "guard page": (fault(SEGV, 2, STACK - 8, asked=StandIn({"sp": STACK + 0x1F0000})), "no-access", "PROT_NONE"),
    "stack overflow": (
        fault(SEGV, 2, STACK - 8, names=["eat"] * 100, asked=StandIn({"sp": STACK - 16})), "stack-overflow", "Stack",
    ),
    "no room for a handler": (
        fault(SEGV, 0x80, None, asked=StandIn({"sp": STACK + 0x100})), "stack-overflow", "Stack overflow",
    ),
    "not canonical": (
        fault(SEGV, 0x80, asked=at("mov (%rax),%rcx", rax=0x4142434445464748)), "bad-pointer", '(the text "HGFEDCBA")',
    ),
    "misaligned": (fault(SEGV, 0x80, asked=at("movaps %xmm0,(%rax)", rax=HEAP)), "misaligned", "needs alignment"),
    "privileged": (fault(SEGV, 0x80, asked=at("hlt")), "bad-pointer", "privileged instruction"),
    "null call": (
        fault(SEGV, 1, 0, counter=0, asked=StandIn({"sp": SP}, {SP: words(PC), PC - 7: b"\0\0\xe8\0\0\0\0"})),
        "null-call", "null function pointer",
    ),
    "call of no code": (
        fault(SEGV, 2, DATA, counter=DATA, asked=StandIn({"sp": SP}, {SP: words(PC), PC - 7: b"\0\0\xe8\0\0\0\0"})),
        "bad-call", "invalid address",
    ),
    "smashed return": (
        fault(SEGV, 0x80, asked=at("ret", {SP: b"AAAAAAAA"})), "smashed-return", "the stack was overwritten",
    ),
    "return that went there": (
        fault(SEGV, 1, 0x41414141, counter=0x41414141, asked=StandIn({"sp": SP}, {SP - 8: words(0x41414141, 0)})),
        "smashed-return", "the stack was overwritten",
    ),
    "no address, null": (fault(SEGV, None, asked=at("mov 8(%rax),%ecx", rax=0)), "null-dereference", "offset 8"),
    "no address, wild": (fault(SEGV, None, asked=at("ldr x0, [x1, #8]", x1=0x99999999)), "bad-pointer", "0x999999a1"),
    "no address, index": (
        fault(SEGV, None, asked=at("mov 0x10(%rax,%rbx,4),%ecx", rax=0x99990000, rbx=4)), "bad-pointer", "0x99990020",
    ),
    "no address, read-only": (fault(SEGV, None, asked=at("mov %ecx,(%rax)", rax=DATA)), "read-only", "read-only"),
    "no address, nothing": (fault(SEGV, None, asked=at("mov %ecx,(%rax)", rax=HEAP)), "other", "SIGSEGV"),
    "cut file": (fault(BUS, 2, DATA), "truncated-mapping", "/opt/acme/app is shorter"),
    "cut file without a name": (fault(BUS, 2, 0x99999999), "truncated-mapping", "the mapped file is shorter"),
    "bus error": (fault(BUS, 1, DATA), "bus-error", "misaligned"),
    "division": (fault(FPE, 1, PC), "division-by-zero", "division by zero"),
    "division on qemu": (fault(FPE, None, asked=at("idivl %ecx")), "division-by-zero", "division by zero"),
    "overflow": (fault(FPE, 4), "floating-point", "overflow"),
    "unknown arithmetic": (fault(FPE, 99), "floating-point", "unknown operation"),
    "ud2": (fault(ILL, 2, PC, asked=at("ud2")), "trap", "__builtin_trap"),
    "int3": (fault(TRAP, 0x80, asked=StandIn({"sp": SP}, {PC - 1: b"\xcc"}, {PC: "nop"})), "trap", "Trap instruction"),
    "no instruction": (fault(ILL, 2, PC, asked=at("(bad)")), "illegal-instruction", "Illegal instruction"),
    "tracer": (fault(TRAP, 5, asked=at("nop")), "trap", "without a trap instruction"),
    "debugger": (fault(TRAP, 0, asked=at("nop")), "snapshot", "by a debugger"),
    "snapshot": (fault(None, None), "snapshot", "a running process"),
    "stopped": (fault(STOP, 0, sender=7), "snapshot", "a stopped process"),
    "kill": (fault(ABRT, 0, sender=7), "sent-signal", "Process 7 sent SIGABRT"),
    "raised": (fault(10, -6, sender=101), "raised", "sent itself SIGUSR1"),
    "seccomp": (fault(SYS, 1, asked=StandIn({"sp": SP, "orig_rax": 59})), "bad-system-call", "System call 59"),
    "seccomp, number unknown": (fault(SYS, 1), "bad-system-call", "A system call"),
    "abort": (fault(ABRT, -6, sender=100, names=["raise", "abort"]), "abort", "called abort()"),
    "abort, no text": (said(ABORT, b""), "abort", "called abort()"),
    "glibc": (said(ABORT, b"double free or corruption (out)\n"), "heap-corruption", "double free"),
    "glibc's canary": (said(ABORT, b"*** stack smashing detected ***: terminated"), "stack-smashing", "smashing"),
    "fortify": (said(ABORT, b"*** buffer overflow detected ***: terminated"), "buffer-overflow", "Buffer overflow"),
    "assert": (said(ABORT, b"app: pay.c:3: pay: Assertion `sum > 0' failed.\n"), "assertion", "sum > 0"),
    "other message": (said(ABORT, b"The futex facility returned an error"), "abort", "The futex facility"),
    "asan": (
        printed(
            b"==7==ERROR: AddressSanitizer: heap-use-after-free on address 0x1 at pc 0x2\n"
            b"READ of size 4 at 0x10 thread T0\n0x10 is located 0 bytes inside\n"
            b"freed by thread T0 here:\n    #0 0x1 in free\n    #1 0x2 in pay\nSUMMARY: it",
            "__sanitizer::Abort", "__asan::ReportGenericError",
        ),
        "sanitizer", "AddressSanitizer: heap-use-after-free",
    ),
    "asan, bad free": (
        printed(
            b"==7==ERROR: AddressSanitizer: attempting free on address which was not malloc()-ed: 0x1", "__asan_report"
        ),
        "sanitizer", "attempting free",
    ),
    "asan, text lost": (fault(ABRT, names=["__asan::Die", "main"]), "sanitizer", "not in the core"),
    "ubsan": (fault(ABRT, names=["__ubsan_handle_add_overflow_abort"]), "sanitizer", "add-overflow"),
    "glog": (
        printed(b"F20260101 12:00:00.00 7 pay.cc:12] Check failed: sum > 0 (-1 vs. 0) ", "google::LogMessage::Fail"),
        "check-failed", "Check failed: sum > 0",
    ),
    "absl": (printed(b"F0101 7 pay.cc:12] no account", "google::LogMessageFatal"), "check-failed", "no account"),
    "check without place": (printed(b"Check failed: sum > 0", "google::LogMessage"), "check-failed", "sum > 0"),
    "check, text lost": (fault(ABRT, -6, sender=100, names=["google::LogMessage"]), "check-failed", "LOG(FATAL)"),
    "pure virtual": (fault(ABRT, -6, sender=100, names=["__cxa_pure_virtual"]), "pure-virtual-call", "Pure virtual"),
    "deleted virtual": (fault(ABRT, names=["__cxa_deleted_virtual"]), "pure-virtual-call", "Deleted virtual"),
    "libstdc++": (fault(ABRT, names=["std::__glibcxx_assert_fail"]), "assertion", "C++ library"),
    "terminate": (fault(ABRT, names=["std::terminate"]), "terminate", "without an exception"),
    "node, memory": (fault(ABRT, names=["node::OOMErrorHandler"]), "javascript-out-of-memory", "out of memory"),
    "node, V8": (
        printed(b"FATAL ERROR: v8::ToLocalChecked Empty", "node::OnFatalError"), "javascript-fatal-error", "Empty",
    ),
    "node, V8, text lost": (fault(ABRT, names=["V8_Fatal"]), "javascript-fatal-error", "V8 fatal error"),
    "node, assertion": (fault(ABRT, names=["node::Assert"]), "assertion", "Node.js assertion failed"),
    "node, abort": (fault(ABRT, names=["node::Abort"]), "abort", "process.abort()"),
    "java": (
        printed(b"Internal Error (os_linux.cpp:12), pid=7", "VMError::report_and_die"), "java-fatal-error", "os_linux",
    ),
    "java, text lost": (fault(ABRT, names=["report_fatal"]), "java-fatal-error", "Java fatal error"),
    "java, memory": (
        fault(ABRT, names=["report_vm_error", "report_java_out_of_memory"]), "java-out-of-memory", "ran out of memory",
    ),
    "python": (
        printed(b"Fatal Python error: deallocating None\n", "fatal_error", "_Py_FatalErrorFunc"),
        "python-fatal-error", "deallocating None",
    ),
    "python, text lost": (fault(ABRT, names=["Py_FatalError"]), "python-fatal-error", "Fatal Python error"),
    "no rule": (fault(1, 1), "other", "SIGHUP"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_the_kind(name: str) -> None:
    made, kind, words_of_it = CASES[name]
    found = cause_of(made)
    assert found.kind == kind
    assert words_of_it in found.sentence


def test_the_sentence_of_glib() -> None:
    text = b"acme:ERROR:pay.c:3:pay: assertion failed: (sum > 0)"
    asked = StandIn({"sp": SP}, {MESSAGE: text + bytes(64)}, values={"*(char **) &__glib_assert_msg": MESSAGE})
    found = cause_of(fault(ABRT, -6, sender=100, names=["raise", "g_assertion_message_expr"], asked=asked))
    assert (found.kind, found.detail) == ("assertion", "(sum > 0)")


def evidence(found: Cause) -> str:
    return "\n".join(found.evidence)


def test_what_is_the_same_in_each_such_crash() -> None:
    assert cause_of(CASES["glog"][0]).detail == "sum > 0"
    assert cause_of(CASES["assert"][0]).detail == "sum > 0"
    assert cause_of(CASES["asan"][0]).detail == "heap-use-after-free"
    assert cause_of(CASES["asan, bad free"][0]).detail == "bad-free"
    assert cause_of(CASES["python"][0]).detail == "deallocating None"


def test_a_sanitizer_s_own_evidence_is_told() -> None:
    assert evidence(cause_of(CASES["asan"][0])) == (
        "READ of size 4 at 0x10 thread T0\n0x10 is located 0 bytes inside\n"
        "freed by thread T0 here:\n  #0 0x1 in free\n  #1 0x2 in pay"
    )


def test_who_recursed() -> None:
    assert "eat is 100 of the innermost 100 frames" in evidence(cause_of(CASES["stack overflow"][0]))


def test_what_the_address_and_the_registers_are() -> None:
    past = HEAP + 0x21000 + 16
    found = evidence(cause_of(fault(SEGV, 1, past, asked=at("mov (%rax,%rbx),%ecx", rax=DATA, rbx=0x10))))
    assert f"instruction at {PC:#x}: mov (%rax,%rbx),%ecx" in found
    assert "rax = 0x600000: /opt/acme/app" in found
    assert "rbx = 0x10\n" in found
    assert "nothing is mapped there, 16 bytes past the end of anonymous memory" in found


@pytest.mark.parametrize(
    ("address", "words_of_it"),
    [
        (STACK - 8, "the guard page of the stack of thread 2, with no permissions (PROT_NONE)"),
        (STACK + 8, "the stack of thread 2 is mapped there, rw-"),
        (DATA, "/opt/acme/app is mapped there, r--"),
        (0x7000, "reserved memory, with no permissions"),
        (0x1, "nothing is mapped there"),
    ],
)
def test_the_kind_of_memory(address: int, words_of_it: str) -> None:
    memory = core((0x7000, 0x8000, 0), *((each.start, each.end, each.flags, each.path) for each in USUAL.mappings))
    asked = StandIn({"sp": 0x10}, stacks={STACK + 0x100: 2})
    assert words_of_it in evidence(cause_of(fault(BUS, 1, address, asked=asked, memory=memory)))


def test_a_register_that_points_into_freed_memory_is_told() -> None:
    data = bytearray(0x21000)
    data[8:16], data[0x298:0x2A0], data[0x2B8:0x2C0] = words(0x291), words(0x421), words(0)
    data[0x290 + 0x428 : 0x290 + 0x430] = words(0x21000 - 0x290 - 0x420 & ~1)
    memory = core((HEAP, HEAP + 0x21000, WRITE), (TEXT, TEXT + 0x1000, 5))
    asked = StandIn({"sp": SP, "rdi": HEAP + 0x2A0}, {HEAP: bytes(data)}, {PC: "nop"})
    assert f"rdi = {HEAP + 0x2A0:#x}: heap chunk of 1048 bytes, freed" in evidence(
        cause_of(fault(SEGV, 1, 0x99999999, asked=asked, memory=memory))
    )


NAMED = [
    (b"app: pay.c:3: pay: Assertion `sum > 0' failed.\n", "pay"),
    (
        b"app: pay.cc:3: void {anonymous}::pay(const Order&): Assertion `sum > 0' failed.",
        "void {anonymous}::pay(const Order&)",
    ),
    (b"Assertion `sum > 0' failed.", None),
]


@pytest.mark.parametrize(("text", "function"), NAMED)
def test_a_failed_assertion_names_its_function(text: bytes, function: str | None) -> None:
    found = cause_of(said(ABORT, text))
    assert (found.detail, found.function) == ("sum > 0", function)


@pytest.mark.parametrize(("owners", "function"), [(["copy"], "copy"), (["copy", "move"], None), ([], None)])
def test_the_function_that_alone_has_an_array_overflowed(owners: list[str], function: str | None) -> None:
    made = said(ABORT, b"*** stack smashing detected ***: terminated", ("abort", "__stack_chk_fail", "std::invoke"))
    assert isinstance(made.debugger, StandIn)
    made.debugger.owners = {2: owners}
    assert cause_of(made).function == function


IN_ALLOCATOR = [
    (("_int_free", "free", "pay"), "free"),
    (("", "", "malloc", "pay"), "malloc"),
    (("", "", "pay"), "free"),  # musl's have no names; the call in pay has
    (("arena_for_chunk", "__GI___libc_free", "pay"), "free"),
    (("pay", "Pool::free"), None),
    (("", "main"), None),
    (("",), None),
]


@pytest.mark.parametrize(("names", "called"), IN_ALLOCATOR)
def test_a_fault_within_the_allocator_is_corruption_of_the_heap(names: tuple[str, ...], called: str | None) -> None:
    asked = StandIn({"sp": SP}, callees={2: "free", 1: "strlen"})
    found = cause_of(fault(SEGV, 1, 0x99999999, names=names, asked=asked))
    expected = f"Heap corruption: invalid access to 0x99999999 in {called}" if called else "Access through an invalid"
    assert found.sentence.startswith(expected)
