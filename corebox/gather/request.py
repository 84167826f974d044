"""The request script: a POSIX shell script that packs the files which one core needs, where there is no Python.

It names the files that the core names, nothing else. The answer is a tar archive: ``--root ANSWER.tar.gz`` takes it.
"""

import os
from typing import Iterable

from corebox.coredump.core import CoreFile
from corebox.gather.extras import names_of

_SCRIPT = """\
#!/bin/sh
# Packs the files that a crashed program had mapped, so that its core file can be read elsewhere.
#
# What it does: for each name in the list below that is a readable file on this machine, it puts the file into ONE
# archive. It runs no other program than those of its first line of code, changes nothing, sends nothing and takes no
# file that is not in the list. Read the list, run it, look at the archive (tar -tvf), and decide whether to send it.
#
# Crashed program: @PROGRAM@
#
# usage: sh request.sh [-r ROOT] [ARCHIVE]      ROOT: where the system is mounted, if not at /
#
# It needs: sh, tar; gzip makes the archive smaller, sha256sum or cksum print its checksum.
set -u
root=/
while getopts r: option; do
    case $option in
        r) root=$OPTARG ;;
        *) echo "usage: sh request.sh [-r ROOT] [ARCHIVE]" >&2; exit 2 ;;
    esac
done
shift $((OPTIND - 1))
archive=${1:-libs.tar.gz}
[ -d "$root" ] || { echo "request.sh: $root is not a directory" >&2; exit 3; }
case $archive in /*) ;; *) archive=$PWD/$archive ;; esac
cd "$root" || exit 3
taken=0
missing=0
set --

# need NAME: a file that the crashed process had mapped.
need() {
    if [ -f ".$1" ] && [ -r ".$1" ]; then
        return 0
    fi
    echo "missing: $1" >&2
    missing=$((missing + 1))
    return 1
}

# --- the mapped files -------------------------------------------------------------------------------------------
@NEED@
# --- what a debugger needs besides, where it is installed ----------------------------------------------------------
for name in @WANT@
do
    if [ -f ".$name" ] && [ -r ".$name" ]; then
        taken=$((taken + 1)) && set -- "$@" ".$name"
    fi
done
for folder in ./usr/share/gcc*/python
do
    if [ -d "$folder" ]; then
        set -- "$@" "$folder"
    fi
done

if [ $# -eq 0 ]; then
    echo "request.sh: none of the files is on this machine" >&2
    exit 1
fi
# -h: the files themselves under these names, not symbolic links.
umask 077
if command -v gzip >/dev/null 2>&1; then
    tar -c -z -h -f "$archive" "$@" || exit 4
else
    tar -c -h -f "$archive" "$@" || exit 4
fi
echo "files in $archive: $taken, missing: $missing"
sha256sum "$archive" 2>/dev/null || cksum "$archive"
[ "$missing" -eq 0 ]
"""


def request_script(core: CoreFile) -> str:
    """The script for this core."""
    modules = [module for module in core.modules if module.path.startswith("/")]
    needed = list(dict.fromkeys(module.path for module in modules))
    wanted = ["/etc/os-release"]
    for module in modules:
        names = names_of(module)
        if os.path.basename(module.path).startswith(("libc.", "libc-", "libpthread")):
            wanted += [os.path.dirname(name) + "/libthread_db.so.1" for name in names]
        wanted += ["/usr/share/gdb/auto-load" + name + "-gdb.py" for name in names]
    program = core.process.name or "unknown"
    return (
        _SCRIPT.replace("@PROGRAM@", "".join(char if char.isprintable() else "?" for char in program))
        .replace("@WANT@", _words(dict.fromkeys(wanted)))
        .replace("@NEED@", "\n".join(_need(path) for path in needed))
    )


def _need(path: str) -> str:
    return 'need {0} && taken=$((taken + 1)) && set -- "$@" .{0}'.format(quote(path))


def _words(names: Iterable[str]) -> str:
    return "".join(" \\\n    " + quote(name) for name in names)


def quote(text: str) -> str:
    """The text as one word of the shell, whatever is in it."""
    return "'" + text.replace("'", "'\\''") + "'"
