"""The Emacs of Debian 13 with its dape, run from files that are not installed, on this machine's own root."""

from pathlib import Path

from tests.support.site import cached_root


def emacs_with_dape() -> tuple[list[str], dict[str, str]]:
    """The command that runs it without its user's settings, and its environment."""
    root = cached_root("trixie", ("emacs-nox", "elpa-dape"), "extract")
    (data,) = (root / "usr/share/emacs").glob("[0-9]*")
    (programs,) = (root / "usr/libexec/emacs").glob("[0-9]*/*")
    (dump,) = programs.glob("*.pdmp")
    (dape,) = (root / "usr/share/emacs/site-lisp/elpa-src").glob("dape-*")
    lisp = [dape, *(each for each in (data / "lisp", *(data / "lisp").rglob("*")) if each.is_dir())]
    libraries = root / "usr/lib/x86_64-linux-gnu"
    command = [
        str(libraries / "ld-linux-x86-64.so.2"),
        "--library-path",
        str(libraries),
        str(root / "usr/bin/emacs-nox"),
    ]
    environment = {"EMACSDATA": str(data / "etc"), "EMACSDOC": str(data / "etc"), "EMACSPATH": str(programs)}
    return [*command, f"--dump-file={dump}", "-Q", "--batch"], {**environment, "EMACSLOADPATH": _joined(lisp)}


def _joined(folders: list[Path]) -> str:
    return ":".join(map(str, folders))
