"""Functions' names without what compilers put to them, so that a function has one name in every build."""

import re

# What compilers append to copies of a function: GCC's -fipa passes, LLVM's "llvm", part and uniqueness numbers.
_CLONE = re.compile(
    r"(\.(isra|constprop|part|cold|lto_priv|localalias|llvm|clone|__uniq|destroy|actor)(\.\d+)?)+$"
    r"|\s*\[(clone [^]]*|cold|abi:\w+)\]"
)
_RUST_HASH = re.compile(r"::h[0-9a-f]{16}$|\[[0-9a-f]{16}\]")
_RUST_CLOSURE = re.compile(r"\{closure_env#\d+\}|\{closure#\d+\}|\{\{closure\}\}")
# Lambdas and local classes: GCC's "{lambda(int)#1}", Clang's "$_52" and "'lambda'(int)".
_LAMBDA = re.compile(r"\{lambda\(.*?\)#\d+\}|'lambda\d*'|\$_\d+|<lambda\(.*?\)>|\{unnamed type#\d+\}|'unnamed\d*'")
# What GCC and Clang write behind a template's name in __PRETTY_FUNCTION__.
_INSTANCE = re.compile(r" \[(with )?[\w:]+ = .*\]$")
# The same within template arguments: what they are a part of, what they are, and the number.
_CALLABLE = re.compile(
    r"(?P<scope>(?:(?:[\w{}~]|\([^()]*\))+::)*)(?:\{lambda\(.*?\)#(?P<gcc>\d+)\}|\$_(?P<local>\d+)|'lambda(?P<clang>\d*)')"
)
_OPERATOR = re.compile(r"operator(<<=?|>>=?|<=>|<=|>=?|<|->\*?|\(\))")
# Go: main.(*Order).total; C++: operator new[], whose name has a blank.
_RECEIVER = re.compile(r"\.\(\*\w+\)|\boperator (new|delete)\b(\[\])?")
_CONVERSION = re.compile(r"\boperator ((?!new\b|delete\b)[^(]+?)\(\)")
_QUALIFIERS = re.compile(r"\s*\b(const|volatile|noexcept)\b\s*$|\s*&+\s*$")
_VERSION = re.compile(r"@@?[\w.]+$")
# Each processor has its own copies of these in a C library.
_PROCESSOR = re.compile(
    r"^(?:__)?(\w+?)_(?:sse|ssse|avx|evex|erms|generic|unaligned|falkor|thunderx|asimd|sve|mops|neon|nosimd|ifunc)\w*$"
)
# Brackets that belong to a name are hidden from the removal of arguments.
_HIDE = {ord("<"): "\x01", ord(">"): "\x02", ord("("): "\x03", ord(")"): "\x04", ord(" "): "\x05"}
_SHOW = {1: "<", 2: ">", 3: "(", 4: ")", 5: " "}
_MAX_LENGTH = 4096


def plain_name(function: str) -> str:
    """A function's name without parameters, template arguments, hashes, qualifiers and suffixes of clones."""
    text = _RUST_HASH.sub("", _CLONE.sub("", _INSTANCE.sub("", function[:_MAX_LENGTH])))
    text = _VERSION.sub("", text)
    text = _RUST_CLOSURE.sub("{closure}", _LAMBDA.sub("{lambda}", text))
    text = text.replace("(anonymous namespace)", "{anonymous}")
    text = _RECEIVER.sub(lambda found: found[0].translate(_HIDE), text)
    text = _CONVERSION.sub("operator" + " (conversion)".translate(_HIDE) + "()", text)
    text = _OPERATOR.sub(lambda found: "operator" + found[1].translate(_HIDE), text)
    if text.startswith("<"):  # Rust: <T as Trait>::method
        text = text.translate(_HIDE) if " as " not in text else _implementation(text)
    name = _without_arguments(text)
    while _QUALIFIERS.search(name):
        name = _QUALIFIERS.sub("", name)
    # A template's demangled name begins with its return type.
    return name.strip().rsplit(" ", 1)[-1].translate(_SHOW)


def inlined_callable(function: str) -> str | None:
    """The lambda that a template was made for: optimisers put its code there, and then no symbol is left of it.

    Its number stays in the name, other than in ``plain_name``: the lambdas of one function are unlike.
    """
    arguments = function[:_MAX_LENGTH].replace("(anonymous namespace)", "{anonymous}").partition("<")[2]
    found = _CALLABLE.search(arguments)
    if found is None:
        return None
    scope = re.sub(r"\([^()]*\)", "", found["scope"])
    return f"{scope}{{lambda#{found['gcc'] or found['local'] or found['clang'] or 0}}}"


def library_name(function: str) -> str:
    """The same of a function of the C library, whichever copy of it the processor has: ``memmove``."""
    name = re.sub(r"^(__GI_|__libc_)", "", plain_name(function))
    found = _PROCESSOR.match(name)
    return (found[1] if found else name).lstrip("_") or name


def _implementation(text: str) -> str:
    """``<orders::Book as core::fmt::Display>::fmt`` keeps its two names; their own arguments go."""
    depth = 0
    for at, char in enumerate(text):
        depth += {"<": 1, ">": -1}.get(char, 0) if text[at - 1 : at + 1] != "->" else 0
        if depth == 0:
            inside = " as ".join(_without_arguments(part) for part in text[1:at].split(" as ", 1))
            return f"<{inside}>".translate(_HIDE) + text[at + 1 :]
    return text.translate(_HIDE)


def _without_arguments(text: str) -> str:
    kept, depth = [], 0
    for char in text:
        if char in "<(":
            depth += 1
        elif char in ">)":
            depth = max(0, depth - 1)
        elif not depth:
            kept.append(char)
    return "".join(kept)
