"""Files that a company's template adds with COPY: they lie beside the template."""

import hashlib
from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath

from corebox.image.dockerfile import bad_dockerfile
from corebox.image.layers import ADDED, PlannedLayer
from corebox.image.recipe import Step
from corebox.image.tar import Entry, complete


def plan_step(step: Step, folder: Path, links: Collection[str]) -> PlannedLayer:
    """The layer that a COPY makes, as the Dockerfile reference says of COPY.

    Args:
        step: the instruction.
        folder: where its sources are.
        links: the image's symbolic links; a layer that has a directory in their place would destroy them.

    Raises:
        UsageError: ``bad-dockerfile``.
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
        raise bad_dockerfile(step.line, "more than one source wants a target that ends with /")
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
