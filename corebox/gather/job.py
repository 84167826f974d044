"""One run of the gatherer: where the core and the root come from, what is written, and that there is room for it."""

import argparse
import contextlib
import os
import re
import sys
from typing import TYPE_CHECKING, Callable, ContextManager, Dict, Iterator, List, NamedTuple, Optional, Tuple

from corebox.bundle.corecontent import Change, CompactCore
from corebox.bundle.layout import STREAM, SUFFIX
from corebox.bundle.manifest import Manifest, StoredCore
from corebox.bundle.runtime import RUNNING
from corebox.bundle.write import Content, Progress, WrittenBundle, write_bundle
from corebox.coredump.core import CoreFile, open_core
from corebox.describe.program import program_of
from corebox.errors import HostError, InputError, UsageError
from corebox.files.diskroot import DiskRoot
from corebox.files.magic import compression_of
from corebox.files.mounts import read_mounts
from corebox.files.reader import Reader
from corebox.gather.collect import Collection, GatherOptions, collect, stored_core
from corebox.gather.output import absolute, give_to_caller, require_harmless, require_harmless_stream
from corebox.gather.owner import reader_for, user_of
from corebox.gather.progress import ProgressLine
from corebox.printable import format_size

if TYPE_CHECKING:
    from corebox.bundle.envelope import Envelope
    from corebox.files.ahead import Ahead
    from corebox.gather.upload import Upload

_MAX_TRIES = 8
# What few gatherings need is imported where it is needed: the one-file program compiles all that it imports, each time.


class Output(NamedTuple):
    """Where the bundle goes, and how it is written.

    ``scratch`` is the directory of large temporary files, ``ahead`` what is known of the core before; ``core_is_read``
    is called as soon as nothing more of the core is wanted, if that is before the bundle is written.
    """

    path: str
    scratch: str
    jobs: int
    nice: bool
    envelope: "Optional[Envelope]"
    progress: Progress
    ahead: "Optional[Ahead]" = None
    upload: "Optional[Upload]" = None
    core_is_read: Callable[[], object] = lambda: None


class GivenCore(NamedTuple):
    """The file of the core, compressed or not, None if it is to be made of a running process; whose crash it is."""

    path: Optional[str]
    owner: Optional[Reader]


class Gathered(NamedTuple):
    """A collection, the bundle if one was written, and the files named with ``--with`` that are not in it."""

    manifest: Manifest
    written: Optional[WrittenBundle]
    lacking: Tuple[str, ...]


def gather(options: argparse.Namespace, progress: ProgressLine, ahead: "Optional[Ahead]" = None) -> Gathered:
    """Do what the options say: collect, and write unless only a look is wanted; ``ahead`` is of the given core."""
    envelope = _envelope(options.encrypt_to) if options.encrypt_to else None
    with contextlib.ExitStack() as stack:
        given = given_core(options)
        upload = _upload_for(options)
        if options.output and not _is_look(options):
            require_harmless_stream(options.output)
            require_harmless(options.output, _inputs(options, given), options.force)  # before anything takes long
        path = stack.enter_context(find_core(options, given.path))
        root = stack.enter_context(find_root(options))
        core = stack.enter_context(open_core(path))
        wanted = gather_options(options)._replace(on_look=progress.look, cut_by=_cutter(core, given.path))
        disk = stack.enter_context(open_root(options, core, root, given))
        found = collect_wanted(core, disk, wanted)
        if _is_look(options):
            return Gathered(found.manifest, None, _lacking(found.manifest, wanted))
        name = default_name(found.manifest) + (envelope.suffix if envelope else "")
        out = output_of(options, name)
        require_harmless(out, _inputs(options, given), options.force)
        upload = upload and upload._replace(name=name)
        scratch, nice = scratch_directory(options), not options.no_nice
        done = pack(wanted, found, core, Output(out, scratch, options.jobs, nice, envelope, progress, ahead, upload))
        give_to_caller(out)
        return done._replace(lacking=_lacking(done.manifest, wanted))


def collect_wanted(core: CoreFile, root: DiskRoot, wanted: GatherOptions) -> Collection:
    """What ``collect`` finds, without what a light bundle leaves out.

    Raises:
        InputError: those of ``collect``.
    """
    found = collect(core, root, wanted)
    if wanted.light is None:
        return found
    from corebox.gather.light import lightened  # noqa: PLC0415

    return lightened(found, root, wanted.light)


def _lacking(manifest: Manifest, wanted: GatherOptions) -> Tuple[str, ...]:
    return tuple(each.path for each in manifest.missing if each.path in wanted.extra)


def _envelope(recipient: str) -> "Envelope":
    from corebox.bundle.envelope import envelope_for  # noqa: PLC0415

    return envelope_for(recipient)


def _upload_for(options: argparse.Namespace) -> "Optional[Upload]":
    if not options.upload:
        return None
    from corebox.gather.upload import Upload, require_upload_url  # noqa: PLC0415

    require_upload_url(options.upload)
    return Upload(options.upload, "")


def _is_look(options: argparse.Namespace) -> bool:
    return bool(options.list or options.dry_run)


def _inputs(options: argparse.Namespace, given: GivenCore) -> List[str]:
    """All files that the user named, none of which may be lost."""
    named = [given.path, options.executable, options.encrypt_to, *options.extra, *options.known]
    return [path for path in named if path] + ([options.root] if os.path.isfile(options.root) else [])


def pack(wanted: GatherOptions, collection: Collection, core: CoreFile, output: Output) -> Gathered:
    """Write a bundle with what the options leave of the core.

    Raises:
        HostError: ``no-space``, ``cannot-write``.
        InputError: ``file-changed``.
    """
    change, whole, stored = None, core, collection.manifest.core
    with contextlib.ExitStack() as stack:
        if wanted.slim and stored.included:
            from corebox.gather.reduce import slim_core  # noqa: PLC0415

            core = stack.enter_context(slim_core(core, output.scratch, collection.open_files))
            stored = stored_core(core, included=True)._replace(
                original_stored=stored.stored, truncated=stored.truncated
            )
        if wanted.redact:
            from corebox.gather.reduce import blanked, plan_blanks, redacted_core  # noqa: PLC0415

            plan = plan_blanks(core, wanted.redact, whole, scan=stored.included)
            collection, change = blanked(collection, plan), plan.apply
            stored = redacted_core(stored, plan, wanted.redact)
        if wanted.slim or not stored.included:
            output.core_is_read()
        if output.nice:
            os.nice(19)  # the site's own work comes first
        for _ in range(0 if output.path == STREAM else _MAX_TRIES):
            try:
                return _write(collection, stored, core, output, change)
            except InputError as error:  # noqa: PERF203 -- a handful of times, and each writes a bundle
                from corebox.gather.changed import without_changed  # noqa: PLC0415

                collection = without_changed(collection, error)
        return _write(collection, stored, core, output, change)


def _write(
    collection: Collection, stored: StoredCore, core: CoreFile, output: Output, change: Optional[Change]
) -> Gathered:
    manifest = collection.manifest._replace(core=stored)
    if output.path != STREAM:
        require_space(output.path, manifest)
    # The core is read twice, and on a slow disk the first time takes as long as the second.
    looked, ahead = 0, stored.stored + input_size(manifest)

    def look(count: int) -> None:
        nonlocal looked
        looked += count
        output.progress(looked, ahead)

    content = Content(
        manifest,
        collection.sources,
        CompactCore(core, change, look, output.ahead) if stored.included else None,
        lambda done, total: output.progress(looked + done, looked + total),
        output.jobs,
        output.envelope,
    )
    return Gathered(manifest, _written(content, output), ())


def _written(content: Content, output: Output) -> WrittenBundle:
    if output.path != STREAM:
        return write_bundle(output.path, content)
    from corebox.bundle.stream import stream_bundle  # noqa: PLC0415

    if output.upload:
        from corebox.gather.upload import upload_bundle  # noqa: PLC0415

        return upload_bundle(output.upload, lambda descriptor: stream_bundle(descriptor, content))
    return stream_bundle(sys.stdout.fileno(), content)


def given_core(options: argparse.Namespace) -> GivenCore:
    """Where the core is, and whose crash it is, as far as that is known without it.

    Raises:
        UsageError: ``no-core-given``, ``two-cores-given``.
        InputError: those of ``find_crash``.
    """
    given = [item for item in (options.core, options.coredumpctl, options.pid) if item is not None]
    if not given:
        from corebox.gather.whereabouts import where_cores_go  # noqa: PLC0415

        raise UsageError(
            "no-core-given", "no core given", "give the core file, --coredumpctl or --pid", advice=where_cores_go()
        )
    if len(given) > 1:
        raise UsageError("two-cores-given", "more than one core is given", "give one of CORE, --coredumpctl and --pid")
    if options.pid:
        from corebox.gather.proc import owner_of, place_of  # noqa: PLC0415

        return GivenCore(None, owner_of(place_of(options.pid)))
    if options.core is None:
        from corebox.gather.systemd import find_crash  # noqa: PLC0415

        crash = find_crash(options.coredump_dir, options.coredumpctl)
        return GivenCore(crash.path, user_of(crash.uid, crash.gid))
    return GivenCore(options.core, None)


def find_core(options: argparse.Namespace, given: Optional[str]) -> ContextManager[str]:
    """The core, readable as a file for as long as the context lasts."""
    if given is not None and compression_of(given) is None:
        return _as_it_is(given)
    place = scratch_directory(options)
    if given is not None:
        from corebox.gather.compressed import decompressed_core  # noqa: PLC0415

        return decompressed_core(given, place)
    from corebox.gather.live import core_of_process  # noqa: PLC0415

    return core_of_process(options.pid, place)


@contextlib.contextmanager
def _as_it_is(path: str) -> Iterator[str]:
    yield path


def scratch_directory(options: argparse.Namespace) -> str:
    """Where temporary files of the size of a core go: TMPDIR if set, else beside the bundle."""
    out = "." if options.output in (None, STREAM) else options.output
    place = out if os.path.isdir(out) else os.path.dirname(out)
    return os.environ.get("TMPDIR") or absolute(place)


@contextlib.contextmanager
def find_root(options: argparse.Namespace) -> Iterator[str]:
    """The directory that is the root of the crashed process's file system, for as long as the context lasts."""
    if options.container:
        from corebox.gather.container import container_root  # noqa: PLC0415

        with container_root(options.container, scratch_directory(options)) as root:
            yield root
    elif os.path.isfile(options.root):
        from corebox.gather.tree import unpacked_archive  # noqa: PLC0415

        with unpacked_archive(options.root, scratch_directory(options)) as root:
            yield root
    elif options.pid and options.root == "/":
        from corebox.gather.live import root_of  # noqa: PLC0415

        yield root_of(options.pid)
    else:
        yield options.root


def open_root(options: argparse.Namespace, core: CoreFile, root: str, given: GivenCore) -> DiskRoot:
    """The root, as the user may see it whose crash it is, unless we have made it, or the crash is to be trusted."""
    ours = os.path.isfile(options.root) or (options.container and not root.startswith("/proc/"))
    reader = None if ours or options.trust else reader_for(core, given.path, root, given.owner)
    return DiskRoot(root, reader, read_mounts(root))


def gather_options(options: argparse.Namespace) -> GatherOptions:
    """What the customer asked for, and what there is to know of a running process.

    Raises:
        InputError: those of ``read_known``.
    """
    live: Dict[int, str] = {}
    runtime = light = None
    if options.pid:
        from corebox.gather.live import mapped_files  # noqa: PLC0415
        from corebox.gather.proc import place_of, read_runtime  # noqa: PLC0415

        live, runtime = mapped_files(options.pid), read_runtime(place_of(options.pid), RUNNING)
    if options.light or options.known:
        from corebox.gather.light import LightOptions, read_known  # noqa: PLC0415

        light = LightOptions(options.light, frozenset(each for path in options.known for each in read_known(path)))
    return GatherOptions(
        executable=options.executable,
        without_executable=options.no_exe,
        without_core=options.no_core,
        consent_hostname=options.consent_hostname,
        extra=tuple(absolute(name) for name in options.extra),
        also=tuple(options.also),
        live=live,
        light=light,
        slim=options.slim,
        redact=tuple(options.redact),
        runtime=runtime,
    )


def _cutter(core: CoreFile, given: Optional[str]) -> Optional[str]:
    """Who cut the core, if it is cut and somebody noted that."""
    if core.truncation is None or given is None:
        return None
    from corebox.gather.systemd import was_cut  # noqa: PLC0415

    return "systemd-coredump" if was_cut(given) else None


def output_of(options: argparse.Namespace, name: str) -> str:
    """Where the bundle is to be written, whose own name is ``name``."""
    if options.upload:
        return STREAM
    out: str = options.output or name
    return os.path.join(out, name) if out != STREAM and os.path.isdir(out) else out


def default_name(manifest: Manifest) -> str:
    """The bundle's name from program and process: ``app-1234.corebox``."""
    process = manifest.process
    name = os.path.basename(program_of(manifest).called) or "crash"
    safe = re.sub(r"[^A-Za-z0-9._+-]", "_", name).lstrip(".-") or "crash"
    return "{}-{}{}".format(safe, process.pid, SUFFIX) if process.pid else safe + SUFFIX


def input_size(manifest: Manifest) -> int:
    """Bytes that go into the bundle before compression."""
    stored = manifest.core.stored if manifest.core.included else 0
    return stored + sum(entry.size for entry in manifest.files)


def require_space(out: str, manifest: Manifest) -> None:
    """Check that the bundle would fit even if nothing could be compressed.

    Raises:
        HostError: ``no-space``, ``cannot-write`` when the directory is not there.
    """
    directory = os.path.dirname(absolute(out))
    try:
        status = os.statvfs(directory)
    except OSError as error:
        raise HostError(
            "cannot-write", "cannot write into {}: {}".format(directory, error.strerror), "choose another place with -o"
        ) from error
    free, needed = status.f_bavail * status.f_frsize, input_size(manifest)
    if free < needed:
        raise HostError(
            "no-space",
            "{} has {} free, the bundle may need {}".format(directory, format_size(free), format_size(needed)),
            "write it to another disk with -o",
            free=free,
            needed=needed,
        )
