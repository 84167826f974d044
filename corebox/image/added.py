"""Files that a company's template adds with COPY: they lie beside the template.

They become a layer of ours, which each builder unpacks, so that all of them give the new directories the same times.
"""

import hashlib
import tarfile
from collections.abc import Callable, Collection, Iterator
from pathlib import Path, PurePosixPath

from corebox.errors import UsageError
from corebox.image.dockerfile import Dockerfile, Instruction, bad_dockerfile, not_native
from corebox.image.layers import PlannedLayer
from corebox.image.parts import ADDED
from corebox.image.recipe import Step, parse_step
from corebox.image.tar import Entry, complete


def replace_copies(
    dockerfile: Dockerfile,
    folder: Path,
    links: Collection[str],
    own: Collection[str],
    build: Callable[[PlannedLayer], str],
) -> Dockerfile:
    """The Dockerfile with the ADD of a layer in the place of each COPY; no line moves.

    What only a real builder can do stays as it is, and so does what is wrong.

    Args:
        dockerfile: rendered.
        folder: where the template is.
        links: see ``plan_step``.
        own: the layers that are added already.
        build: builds a layer and returns the name of its tar.
    """
    changed = dockerfile
    for instruction in dockerfile.instructions:
        if instruction.name in ("ADD", "COPY"):
            try:
                step = parse_step(instruction)
                plan = None if step.adds_one_of(own) else plan_step(step, folder, links)
            except UsageError:
                continue
            if plan is not None:
                changed = changed.with_instead(instruction, "ADD", f"{build(plan)} /")
    return changed


def plan_step(step: Step, folder: Path, links: Collection[str]) -> PlannedLayer:
    """The layer that a COPY makes, as the Dockerfile reference says of COPY.

    Args:
        step: the instruction.
        folder: where its sources are.
        links: the image's symbolic links; a layer that has a directory in their place would destroy them.

    Raises:
        UsageError: ``bad-dockerfile``, ``not-native``.
    """
    entries = [entry for source in step.sources for entry in _entries(step, source, folder)]
    members = complete(entries)
    for entry in members:
        if entry.path in links:
            raise bad_dockerfile(step.line, f"/{entry.path} is a symbolic link in the image")
    return PlannedLayer(ADDED, tuple(members))


def _entries(step: Step, source: str, folder: Path) -> Iterator[Entry]:
    path = (folder / source).resolve()
    if not path.is_relative_to(folder.resolve()) or not path.exists():
        raise bad_dockerfile(step.line, f"there is no {source} in {folder}")
    if not step.target.startswith("/") or ".." in PurePosixPath(step.target).parts:
        raise bad_dockerfile(step.line, f"{step.target} is not an absolute path")
    if len(step.sources) > 1 and not step.target.endswith("/"):
        raise bad_dockerfile(step.line, "more than one source needs a target that ends with /")
    if step.unpacks and path.is_file() and tarfile.is_tarfile(path):
        raise not_native(Instruction(step.line, "ADD", ""), "unpacks an archive")
    target = PurePosixPath(step.target.lstrip("/"))
    if path.is_dir():
        for file in sorted(each for each in path.rglob("*") if each.is_file()):
            yield _file(step, file, target / file.relative_to(path))
    else:
        yield _file(step, path, target / path.name if step.target.endswith("/") else target)


def _file(step: Step, path: Path, target: PurePosixPath) -> Entry:
    data = path.read_bytes()
    status = path.stat()
    mode = status.st_mode & 0o777 if step.mode is None else step.mode
    return Entry(str(target), mode, int(status.st_mtime), len(data), None, data, hashlib.sha256(data).hexdigest())
