"""A report of which every text may be chosen."""

from corebox.debugger.answer import Answer, Frame, Instruction, Register, SourceLine, Stack, Variable, Why
from corebox.locate.status import ModuleSymbols
from corebox.report.document import Report, group_threads
from corebox.report.memory import judge_memory
from corebox.report.signature import signature
from tests.unit.bundle import samples


def report(text: str = "deep") -> Report:
    """A crash with ``text`` wherever a core or what runs inside gdb decides what is said."""
    module = samples.manifest().modules[0]._replace(path="/opt/" + text)
    manifest = samples.manifest(modules=(module,))
    manifest = manifest._replace(
        process=manifest.process._replace(executable="/opt/" + text, name=text),
        site=manifest.site._replace(os_release={"PRETTY_NAME": text}),
    )
    variable = Variable(text, text)
    source = (SourceLine(6, text), SourceLine(7, "return *order;"))
    frame = Frame(module.start + 16, "normal", text, text, 7, (variable,), (variable,), source)
    stacks = [
        Stack(1, 42, text, (frame,), text, False),
        *(Stack(each, 40 + each, text, (), text, True) for each in (2, 3)),
    ]
    groups = group_threads(stacks, manifest.modules)
    why = Why("null-dereference", "Null pointer dereference: " + text, (text,))
    answer = Answer(tuple(stacks), (Register(text, 1),), (Instruction(frame.pc, text),), why)
    name = signature(manifest.process.signal_name, groups[0].frames, why)
    memory = judge_memory(manifest)
    symbols = ModuleSymbols(module.path, "none", module.build_id.memory, text)
    fault = f"SIGSEGV {text}+0x10"
    return Report("x.corebox", "sha256:" + "a" * 64, name, fault, manifest, answer, groups, (symbols,), memory)
