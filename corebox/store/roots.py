"""Layers unpacked into directories, so that engines can mount them: made once, shared, never changed."""

import contextlib
import hashlib
import os
import shutil
import time
import weakref
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from corebox.files.temporary import temporary_directory
from corebox.store.extract import extract_layer
from corebox.store.files import locked, try_lock, write_atomically
from corebox.store.locks import Locks, RangeLocks

_TREE = "tree"
_LAYERS = "layers"
#: What an older corebox holds while it uses a root.
_OLD_LOCK = "lock"
#: The name of the notes for machines that do not see our locks.
_NOTE = "roots"


class Roots:
    """The unpacked roots beneath ``directory``, made in ``scratch``, each with a lock that those who use it share.

    The locks are ranges of one file: a process may use thousands of roots.
    """

    def __init__(self, directory: Path, scratch: Path, locks: Locks) -> None:
        self._directory = directory
        self._scratch = scratch
        self._locks = locks
        self._ranges = RangeLocks(directory.with_name("roots.lock"))
        self._held: set[str] = set()
        self._noted = contextlib.ExitStack()
        weakref.finalize(self, self._noted.close)  # also when Python ends

    def get(self, tars: Sequence[tuple[str, Path]], check: Callable[[str], None]) -> Path:
        """The tree of these layers, given as (digest, path of the tar); it stays until this process ends.

        ``check`` is called with each digest before its tar is unpacked.
        """

        def extract(new: Path) -> None:
            for digest, path in tars:
                check(digest)
                extract_layer(path, new)

        return self.made([digest for digest, _ in tars], extract)

    def made(self, names: Sequence[str], make: Callable[[Path], None]) -> Path:
        """The tree that ``make`` fills; it stays until this process ends, and longer if ``names`` are of layers."""
        home = self._hold(hashlib.sha256("\n".join(names).encode()).hexdigest())
        tree = home / _TREE
        if not tree.exists():
            with locked(home / "making"):
                if not tree.exists():
                    with temporary_directory(str(self._scratch)) as temporary:
                        new = Path(temporary) / _TREE
                        new.mkdir()
                        make(new)
                        self._finish(home, names, new)
        os.utime(home)
        return tree

    def _finish(self, home: Path, digests: Sequence[str], tree: Path) -> None:
        write_atomically(home / _LAYERS, "\n".join(digests).encode(), self._scratch)
        tree.chmod(0o755)  # the sandbox has another user; nobody else gets past the directories above
        try:
            tree.rename(home / _TREE)
        except OSError:
            # Another machine has made the same tree meanwhile, whose lock we do not see.
            if not (home / _TREE).is_dir():
                raise

    def _hold(self, key: str) -> Path:
        """The directory of the root, locked against ``prune`` of other processes as long as this one lives."""
        home = self._directory / key
        if not self._held:
            self._noted.enter_context(self._locks.noted(_NOTE))
        while key not in self._held:
            if self._ranges.try_shared(key):
                self._held.add(key)
            else:
                time.sleep(0.01)  # it is being removed
        home.mkdir(mode=0o700, exist_ok=True)
        return home

    def prune(self, needed: Iterable[str], *, dry: bool = False) -> int:
        """Remove roots with a layer (hex digest) that is not needed, unless somebody uses them; return bytes freed.

        With ``dry`` nothing is removed.
        """
        if self._locks.elsewhere(_NOTE):
            return 0  # which of them, their locks would tell, and we do not see those
        wanted = set(needed)
        freed = 0
        for home in self._directory.iterdir():
            layers = home / _LAYERS
            if layers.exists() and {digest[7:] for digest in layers.read_text().split("\n")} <= wanted:
                continue
            freed += self._remove(home, dry=dry)
        return freed

    def _remove(self, home: Path, *, dry: bool) -> int:
        """Remove the root if nobody uses it; return the bytes that it has."""
        if home.name in self._held or not self._ranges.try_exclusive(home.name):
            return 0
        try:
            old = try_lock(home / _OLD_LOCK) if (home / _OLD_LOCK).exists() else -1
            if old is None:
                return 0
            size = sum(path.lstat().st_blocks * 512 for path in home.rglob("*"))
            if not dry:
                shutil.rmtree(home)
            if old >= 0:
                os.close(old)
            return size
        finally:
            self._ranges.release(home.name)
