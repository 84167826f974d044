"""Runs inside gdb: reads all that can be read in the sandbox and prints where it found the vendor's secrets.

FIRST and SECOND are put in front by the test: together they are the beginning of each secret, which this script must
not hold itself.
"""

import os
import stat

SECRET, PIECE = (FIRST + SECOND).encode(), 1 << 20
LARGEST = 256 << 20  # a customer's core may be of any size; that its beginning is no secret of ours says enough
seen, count = set(), 0


def look(path, status):
    """Whether the file has a secret in it, however it lies."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    except OSError:
        return False
    with open(descriptor, "rb", buffering=0) as file:
        before, read = b"", 0
        while read < LARGEST:
            try:
                piece = file.read(PIECE)
            except OSError:
                return False
            if not piece:
                return False
            if SECRET in before + piece:
                return True
            before, read = piece[-len(SECRET) :], read + len(piece)
    return False


for folder, folders, names in os.walk("/"):
    folders[:] = [name for name in folders if not os.path.islink(os.path.join(folder, name))]
    for name in names:
        path = os.path.join(folder, name)
        try:
            status = os.lstat(path)
        except OSError:
            continue
        if os.path.islink(path):
            if SECRET in os.fsencode(os.readlink(path)):
                print("FOUND", path)
        elif stat.S_ISREG(status.st_mode) and (status.st_dev, status.st_ino) not in seen:
            seen.add((status.st_dev, status.st_ino))
            if not path.endswith(("/mem", "/pagemap", "/clear_refs")):
                count += 1
                if look(path, status):
                    print("FOUND", path)
environments = [name for name in os.listdir("/proc") if name.isdigit()]
print("processes", len(environments), "files", count)
