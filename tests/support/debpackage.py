"""A package and its -dbgsym twin, made by Debian's own tools as its archive's are."""

import subprocess
from pathlib import Path

_CONTROL = """Source: tool
Maintainer: nobody <nobody@example.com>
Build-Depends: debhelper-compat (= 13)

Package: tool
Architecture: any
Depends: ${shlibs:Depends}, ${misc:Depends}
Description: a test
"""
_CHANGES = (
    "tool (1.0) stable; urgency=low\n\n  * Made.\n\n -- nobody <nobody@example.com>  Thu, 01 Jan 2026 00:00:00 +0000\n"
)
_RULES = "#!/usr/bin/make -f\n%:\n\tdh $@\noverride_dh_auto_test:\n"
_MAKEFILE = "all:\n\tgcc -g -O0 -o tool tool.c\ninstall:\n\tinstall -D tool $(DESTDIR)/usr/bin/tool\n"


def build(folder: Path, source: str) -> dict[str, Path]:
    """Build the program ``/usr/bin/tool`` of this C source; the packages by their names."""
    work = folder / "tool-1.0"
    (work / "debian").mkdir(parents=True)
    files = {"control": _CONTROL, "changelog": _CHANGES, "rules": _RULES}
    for name, text in files.items():
        (work / "debian" / name).write_text(text)
    (work / "debian/rules").chmod(0o755)
    (work / "Makefile").write_text(_MAKEFILE)
    (work / "tool.c").write_text(source)
    words = ["dpkg-buildpackage", "--build=binary", "--no-sign", "-d"]
    done = subprocess.run(words, cwd=work, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return {path.name.partition("_")[0]: path for path in folder.glob("*.deb")}


def field(package: Path, name: str) -> str:
    """A field of the control file."""
    words = ["dpkg-deb", "--field", str(package), name]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()
