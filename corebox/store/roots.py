"""Layers unpacked into directories, so that engines can mount them: made once, shared, never changed."""

import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from corebox.bundle.temporary import temporary_directory
from corebox.store.extract import extract_layer
from corebox.store.files import locked, try_lock, write_atomically

_TREE = "tree"
_LAYERS = "layers"
_LOCK = "lock"


class Roots:
    """The unpacked roots beneath ``directory``, made in ``scratch``, each with a lock that those who use it share."""

    def __init__(self, directory: Path, scratch: Path) -> None:
        self._directory = directory
        self._scratch = scratch
        self._held: dict[Path, int] = {}

    def get(self, tars: Sequence[tuple[str, Path]], check: Callable[[str], None]) -> Path:
        """The tree of these layers, given as (digest, path of the tar); it stays until this process ends.

        ``check`` is called with each digest before its tar is unpacked.
        """
        digests = [digest for digest, _ in tars]
        home = self._hold(digests)
        tree = home / _TREE
        if not tree.exists():
            with locked(home / "making"):
                if not tree.exists():
                    with temporary_directory(str(self._scratch)) as temporary:
                        new = Path(temporary) / _TREE
                        new.mkdir()
                        for digest, path in tars:
                            check(digest)
                            extract_layer(path, new)
                        self._finish(home, digests, new)
        os.utime(home)
        return tree

    def _finish(self, home: Path, digests: Sequence[str], tree: Path) -> None:
        write_atomically(home / _LAYERS, "\n".join(digests).encode(), self._scratch)
        tree.chmod(0o755)  # the sandbox has another user; nobody else gets past the directories above
        tree.rename(home / _TREE)

    def _hold(self, digests: Sequence[str]) -> Path:
        """The directory of the root, locked against ``prune`` of other processes as long as this one lives."""
        home = self._directory / hashlib.sha256("\n".join(digests).encode()).hexdigest()
        while home not in self._held:
            home.mkdir(mode=0o700, exist_ok=True)
            try:
                descriptor = try_lock(home / _LOCK, shared=True)
            except FileNotFoundError:  # another process pruned it in between
                continue
            if descriptor is None:
                continue
            if os.fstat(descriptor).st_nlink and (home / _LOCK).exists():
                self._held[home] = descriptor
            else:
                os.close(descriptor)
        return home

    def prune(self, needed: Iterable[str]) -> int:
        """Remove roots with a layer (hex digest) that is not needed, unless somebody uses them; return bytes freed."""
        wanted = set(needed)
        freed = 0
        for home in self._directory.iterdir():
            layers = home / _LAYERS
            if layers.exists() and {digest[7:] for digest in layers.read_text().split("\n")} <= wanted:
                continue
            descriptor = None if home in self._held else try_lock(home / _LOCK)
            if descriptor is not None:
                freed += sum(path.lstat().st_blocks * 512 for path in home.rglob("*"))
                shutil.rmtree(home)
                os.close(descriptor)
        return freed
