"""``corebox.json`` back into values, believing nothing: every type, range, path and link is checked."""

import json
import os
from typing import Callable, Tuple, TypeVar

from corebox.bundle import layout
from corebox.bundle.faults import damaged
from corebox.bundle.fields import Fields
from corebox.bundle.manifest import (
    MANAGERS,
    ROLES,
    CrashedProcess,
    FileEntry,
    FileOrigin,
    LeftOutFile,
    Manifest,
    MemoryEntry,
    ModuleEntry,
    Omission,
    Site,
    StoredCore,
    SymlinkEntry,
    TruncatedCore,
)
from corebox.bundle.runtime import parse_runtime
from corebox.bundle.tree import check_tree
from corebox.bundle.verdict import VERDICTS
from corebox.coredump.values import FULL, MINIMAL, NONE
from corebox.errors import InputError

Value = TypeVar("Value")


def parse_manifest(data: bytes) -> Manifest:
    """The manifest in ``data``.

    Raises:
        InputError: ``bundle-too-new`` for another major version, ``bundle-damaged`` for anything that breaks the rules.
    """
    root = Fields(_parse_json(data), "corebox.json")
    runtime = root.fields_or_none("runtime")
    _check_version(root.fields("format"))
    manifest = Manifest(
        gatherer=root.text("gatherer"),
        site=_site(root.fields("site")),
        process=_process(root.fields("process")),
        core=_core(root.fields("core")),
        modules=_each(root, "modules", _module),
        files=_each(root, "files", _file),
        symlinks=_each(root, "symlinks", _symlink),
        missing=_each(root, "missing", _remark),
        not_taken=_each(root, "not_taken", _remark),
        memory=_each(root, "memory", _memory),
        runtime=parse_runtime(runtime) if runtime else None,
        left_out=_each(root, "left_out", _left_out) if "left_out" in root.names() else (),
    )
    if len(manifest.files) + len(manifest.left_out) > layout.MAX_FILES or len(manifest.symlinks) > layout.MAX_SYMLINKS:
        raise damaged("more files or symbolic links than any process maps")
    links = [(entry.path, entry.target) for entry in manifest.symlinks]
    check_tree([entry.path for entry in manifest.files], links)
    if manifest.left_out:  # they have places of their own among the others
        check_tree([entry.path for entry in manifest.left_out], links)
        everything = [entry.path for entry in manifest.files] + [entry.path for entry in manifest.left_out]
        check_tree(sorted(everything, key=os.fsencode), links)
    return manifest


def _parse_json(data: bytes) -> object:
    if len(data) > layout.MAX_MANIFEST:
        raise damaged("corebox.json is longer than {} bytes".format(layout.MAX_MANIFEST))
    try:
        return json.loads(data.decode("ascii"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise damaged("corebox.json is not ASCII JSON: {}".format(error)) from error


def _refuse_constant(name: str) -> object:
    raise ValueError(name + " is not JSON")


def _check_version(version: Fields) -> None:
    major = version.number("major")
    version.number("minor")
    if major != layout.MAJOR:
        raise InputError(
            "bundle-too-new",
            "the bundle has format version {}, this corebox reads version {}".format(major, layout.MAJOR),
            "open it with a newer corebox: pip install --upgrade corebox",
            major=major,
        )


def _each(root: Fields, name: str, parse: Callable[[Fields], Value]) -> Tuple[Value, ...]:
    return tuple(parse(fields) for fields in root.objects(name))


def _site(site: Fields) -> Site:
    release = site.fields("os_release")
    return Site(
        os_release={key: release.text(key) for key in release.names()},
        kernel=site.text_or_none("kernel"),
        machine=site.text("machine"),
        hostname=site.text_or_none("hostname"),
        system=site.text_or_none("system"),
    )


def _process(process: Fields) -> CrashedProcess:
    return CrashedProcess(
        pid=process.number_or_none("pid"),
        name=process.text_or_none("name"),
        arguments=process.text_or_none("arguments"),
        executable=process.path_or_none("executable"),
        uid=process.number_or_none("uid"),
        gid=process.number_or_none("gid"),
        signal=process.number_or_none("signal"),
        signal_name=process.text_or_none("signal_name"),
        signal_code=process.signed_or_none("signal_code"),
        fault_address=process.address_or_none("fault_address"),
        threads=process.number("threads"),
        time=process.time("time"),
    )


def _core(core: Fields) -> StoredCore:
    truncated = core.fields_or_none("truncated")
    return StoredCore(
        included=core.flag("included"),
        size=core.number("size"),
        stored=core.number("stored"),
        truncated=_truncated(truncated) if truncated else None,
        original_stored=core.number_or_none("original_stored"),
        redacted=core.number_or_none("redacted"),
        redacted_variables=core.texts_or_none("redacted_variables"),
    )


def _truncated(truncated: Fields) -> TruncatedCore:
    return TruncatedCore(
        expected_size=truncated.number("expected_size"),
        actual_size=truncated.number("actual_size"),
        missing_bytes=truncated.number("missing_bytes"),
        lost=truncated.texts("lost"),
        cut_by=truncated.text_or_none("cut_by"),
    )


def _module(module: Fields) -> ModuleEntry:
    build_id = module.fields("build_id")
    return ModuleEntry(
        path=module.text("path"),
        opened_as=module.texts("opened_as"),
        start=module.address("start"),
        end=module.address("end"),
        executable=module.flag("executable"),
        memory=build_id.hex_or_none("memory"),
        file=build_id.hex_or_none("file"),
        verdict=module.choice("verdict", VERDICTS),
        size=module.number_or_none("size"),
        detail=module.text_or_none("detail"),
        symbols=module.choice_or_none("symbols", (FULL, MINIMAL, NONE)),
        package=module.text_or_none("package"),
    )


def _memory(entry: Fields) -> MemoryEntry:
    return MemoryEntry(
        kind=entry.text("kind"),
        virtual=entry.number("virtual"),
        dumped=entry.number("dumped"),
        resident=entry.number_or_none("resident"),
        mappings=entry.number_or_none("mappings"),
    )


def _file(entry: Fields) -> FileEntry:
    origin = entry.fields_or_none("origin")
    return FileEntry(
        path=entry.path("path"),
        role=entry.choice("role", ROLES),
        size=entry.number("size"),
        mode=entry.mode("mode"),
        mtime=entry.number("mtime"),
        origin=_origin(origin) if origin else None,
    )


def _origin(origin: Fields) -> FileOrigin:
    return FileOrigin(
        place=origin.text("place"),
        package=origin.text_or_none("package"),
        version=origin.text_or_none("version"),
        url=origin.text_or_none("url"),
    )


def _left_out(entry: Fields) -> LeftOutFile:
    return LeftOutFile(
        *_file(entry)[:5],
        sha256=entry.sha256("sha256"),
        build_id=entry.hex_or_none("build_id"),
        manager=entry.choice_or_none("manager", MANAGERS),
        package=entry.text_or_none("package"),
        version=entry.text_or_none("version"),
    )


def _symlink(entry: Fields) -> SymlinkEntry:
    return SymlinkEntry(path=entry.path("path"), target=entry.text("target"))


def _remark(entry: Fields) -> Omission:
    return Omission(path=entry.text("path"), why=entry.text("why"))
