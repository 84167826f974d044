"""The plan of the layers follows from the manifest alone."""

from pathlib import Path

import pytest

from corebox.bundle.manifest import FileEntry, Manifest, SymlinkEntry
from corebox.errors import InputError
from corebox.image.layers import PlannedLayer, plan_layers
from corebox.image.parts import PROGRAM, SYSTEM
from tests.unit.bundle.samples import manifest

ROOT = Path("/unpacked/rootfs")
LIBC = FileEntry("/usr/lib/x86_64-linux-gnu/libc.so.6", "module", 2 << 20, 0o755, 5)
LIBM = FileEntry("/usr/lib/x86_64-linux-gnu/libm.so.6", "module", 1 << 20, 0o644, 5)
LIBDL = FileEntry("/usr/lib/x86_64-linux-gnu/libdl.so.2", "module", 14 << 10, 0o644, 5)
APP = FileEntry("/opt/app/bin/app", "executable", 100, 0o700, 5)


def plan(
    *files: FileEntry, links: tuple[SymlinkEntry, ...] = (), executable: str | None = APP.path
) -> list[PlannedLayer]:
    value = manifest(files=tuple(sorted(files)), symlinks=links)
    value = value._replace(process=value.process._replace(executable=executable))
    return plan_layers(value, ROOT, {f"rootfs{file.path}": "0" * 64 for file in files})


def files_of(layer: PlannedLayer) -> list[str]:
    return [entry.path for entry in layer.entries if entry.source is not None or entry.target is not None]


def test_system_and_program_are_apart_and_large_libraries_alone() -> None:
    layers = plan(LIBC, LIBM, LIBDL, APP)
    assert [(layer.kind, files_of(layer)) for layer in layers] == [
        (SYSTEM, ["usr/lib/x86_64-linux-gnu/libc.so.6"]),
        (SYSTEM, ["usr/lib/x86_64-linux-gnu/libm.so.6"]),
        (SYSTEM, ["usr/lib/x86_64-linux-gnu/libdl.so.2"]),
        (PROGRAM, ["opt/app/bin/app"]),
    ]


def test_another_program_on_the_same_system_shares_the_large_libraries() -> None:
    other = FileEntry("/opt/other/run", "executable", 100, 0o755, 5)
    ours, theirs = plan(LIBC, LIBM, LIBDL, APP), plan(LIBC, LIBM, other, executable="/opt/other/run")
    assert [layer.entries for layer in ours[:2]] == [layer.entries for layer in theirs[:2]]


def test_only_the_largest_libraries_are_alone() -> None:
    many = [FileEntry(f"/usr/lib/lib{number:02}.so", "module", (1 + number) << 20, 0o644, 5) for number in range(20)]
    layers = plan(*many)
    assert [len(files_of(layer)) for layer in layers] == [1, 1, 1, 1, 1, 1, 14]
    assert files_of(layers[0]) == ["usr/lib/lib14.so"]


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/usr/lib/libz.so", SYSTEM),
        ("/lib64/ld.so", SYSTEM),
        ("/etc/os-release", SYSTEM),
        ("/usr/bin/app", PROGRAM),  # the executable
        ("/usr/bin/other", SYSTEM),
        ("/usr/local/lib/libx.so", PROGRAM),
        ("/home/x/libx.so", PROGRAM),
        ("/libx.so", PROGRAM),
    ],
)
def test_what_belongs_to_the_system(path: str, kind: str) -> None:
    layers = plan(FileEntry(path, "module", 1, 0o644, 5), executable="/usr/bin/app")
    assert [layer.kind for layer in layers] == [kind]


def test_links_go_with_their_place() -> None:
    links = (SymlinkEntry("/lib", "usr/lib"), SymlinkEntry("/opt/app/current", "bin"))
    system, program = plan(LIBDL, APP, links=links)
    assert "lib" in files_of(system)
    assert files_of(program) == ["opt/app/bin/app", "opt/app/current"]


def test_every_file_is_readable_for_gdb_and_keeps_the_rest_of_its_mode() -> None:
    (layer,) = plan(APP)
    assert [(entry.mode, entry.mtime) for entry in layer.entries if entry.source] == [(0o744, 5)]


@pytest.mark.parametrize("path", ["/.corebox/toolbox/bin/gdb", "/.corebox", "/opt/.wh.app", "/opt/.wh..wh..opq/x"])
def test_reserved_paths_are_refused(path: str) -> None:
    for value in (
        manifest(files=(FileEntry(path, "extra", 1, 0o644, 5),)),
        manifest(symlinks=(SymlinkEntry(path, "x"),)),
    ):
        with pytest.raises(InputError) as caught:
            plan_layers(value, ROOT, {f"rootfs{path}": "0" * 64, **digests(value)})
        assert caught.value.code == "reserved-path"


def digests(value: Manifest) -> dict[str, str]:
    return {f"rootfs{entry.path}": "0" * 64 for entry in value.files}
