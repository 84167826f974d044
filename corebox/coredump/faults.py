"""The errors of this package, worded once."""

from corebox.errors import CoreboxError, HostError, InputError

_FIRST_BYTES = (
    (b"\x28\xb5\x2f\xfd", "it is compressed with zstd", "decompress it first: zstd -d --sparse FILE"),
    (b"\x1f\x8b", "it is compressed with gzip", "decompress it first: gzip -d FILE"),
    (b"\x04\x22\x4d\x18", "it is compressed with lz4", "decompress it first: lz4 -d FILE"),
    (b"\xfd7zXZ\x00", "it is compressed with xz", "decompress it first: xz -d FILE"),
    (b"\x7fELF", "it is an ELF file of another kind", "pass the core file, not the program that wrote it"),
)


def not_a_core(path: str, start: bytes) -> CoreboxError:
    """``not-a-core``: the file at ``path`` begins with the bytes ``start``."""
    why, hint = "it does not begin as one", "find the core: ls -l core* /var/lib/systemd/coredump; coredumpctl list"
    if not start:
        why, hint = "it is empty", "raise the limit (ulimit -c unlimited), make room on the disk and crash it again"
    for magic, reason, remedy in _FIRST_BYTES:
        if start.startswith(magic):
            why, hint = reason, remedy
    return InputError("not-a-core", "{} is not a core file: {}".format(path, why), hint, path=path)


def unreadable(path: str, error: OSError) -> CoreboxError:
    """``no-such-file`` or ``cannot-read``: the system refused to open or read ``path``."""
    if isinstance(error, FileNotFoundError):
        return InputError("no-such-file", "{} does not exist".format(path), "check the name: ls -l", path=path)
    hint = "check owner and permissions: ls -ld {}; cores often belong to root".format(path)
    return HostError("cannot-read", "cannot read {}: {}".format(path, error.strerror), hint, path=path)


def not_in_core(path: str, address: int, size: int) -> CoreboxError:
    """``memory-not-in-core``: a range of memory was not dumped, or was cut off."""
    message = "{} bytes at {:#x} are not in {}".format(size, address, path)
    return InputError("memory-not-in-core", message, "corebox info shows what was dumped: corebox info " + path)


def not_elf(path: str, why: str) -> CoreboxError:
    """``not-elf``: a file that should be an executable or a shared object is not."""
    return InputError("not-elf", "{} is not an ELF file: {}".format(path, why), "check it: file " + path, path=path)
