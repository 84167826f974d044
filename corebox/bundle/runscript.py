"""``run.sh``: opens an unpacked bundle with any gdb, where there is no corebox."""

import os

_SCRIPT = """\
#!/bin/sh
# Opens this crash with a gdb of this machine: the libraries are those of ./rootfs, at their own paths.
# corebox does more (its own gdb, in a container): corebox shell NAME.corebox
usage() {
    echo "usage: sh run.sh [-h] [-c CORE] [-e EXECUTABLE] [-- GDB-ARGUMENT...]"
    echo "  -c CORE        another core file of the same program"
    echo "  -e EXECUTABLE  the same executable with debug information"
    echo "GDB names another gdb: GDB=/opt/gdb/bin/gdb sh run.sh"
}
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd) || exit 1
core=$here/core
executable=$here/rootfs@EXECUTABLE@
while getopts hc:e: option; do
    case $option in
        h) usage; exit 0 ;;
        c) core=$OPTARG ;;
        e) executable=$OPTARG ;;
        *) usage >&2; exit 2 ;;
    esac
done
shift $((OPTIND - 1))
for file in "$core" "$executable"; do
    [ -f "$file" ] || { echo "run.sh: $file is not here: give it with -c or -e" >&2; exit 3; }
done
command -v "${GDB:-gdb}" >/dev/null || { echo "run.sh: no gdb: apt-get install gdb" >&2; exit 4; }
# libthread_db and the printers of ./rootfs run inside gdb: trust them no more than the bundle itself.
exec "${GDB:-gdb}" -iex "set sysroot $here/rootfs" -iex "set debug-file-directory $here/rootfs/usr/lib/debug" \\
    -iex "set auto-load safe-path $here/rootfs" "$@" "$executable" "$core"
"""


def run_script(executable: str) -> bytes:
    """The script for a bundle whose executable has this canonical path; "" when it is not known."""
    quoted = "'" + executable.replace("'", "'\\''") + "'" if executable else ""
    return os.fsencode(_SCRIPT.replace("@EXECUTABLE@", quoted))
